{# What an experiment is must be said alike in each of its lines, and so that it can be judged:
   one control, a weight above 0, an id without a colon, and not for all tenants and one as well. #}
{% test well_formed_experiments(model) %}
select
    experiment_id,
    tenant_id
from {{ model }}
group by experiment_id, tenant_id
having
    count(distinct (starts_on, ends_on, goal_contract, goal_type, goal_within_days)) > 1
    or count(*) filter (where is_control) <> 1
    or min(weight) < 0
    or sum(weight) < 1
    or min(goal_within_days) < 0
    or bool_or(goal_contract not in ('app_events', 'conversions'))
    or not regexp_full_match(experiment_id, '[A-Za-z0-9_.-]+')
union all
select
    experiment_id,
    '*' as tenant_id
from {{ model }}
group by experiment_id
having bool_or(tenant_id = '*') and bool_or(tenant_id <> '*')
{% endtest %}
