{# A column adds up to the same, by tenant and day, as a column of another mart: one metric, one
   definition. Nulls count as 0, and a day that one of them lacks as a day of 0. #}
{% test same_total(model, column, day, to, to_column, to_day) %}
with ours as (
    select tenant_id, {{ day }} as day, sum({{ column }}) as total
    from {{ model }}
    group by all
),

theirs as (
    select tenant_id, {{ to_day }} as day, sum({{ to_column }}) as total
    from {{ to }}
    group by all
)

select tenant_id, day, ours.total as ours, theirs.total as theirs
from ours
full join theirs using (tenant_id, day)
where coalesce(ours.total, 0) != coalesce(theirs.total, 0)
{% endtest %}
