{{
    config(
        incremental_strategy='insert_new',
        unique_key=['contract', '_topic_id', '_partition', '_offset'],
        partition_by=['contract', 'event_date'],
    )
}}

{%- set contracts = ['ad_events', 'app_events', 'clickstream', 'conversions', 'registrations'] %}
{%- set key_of = {
    'ad_events': 'event_id',
    'app_events': 'event_id',
    'clickstream': 'event_id',
    'conversions': 'conversion_id',
    'registrations': 'registration_id',
} %}

with
{%- for contract in contracts %}
{{ contract }} as (
    select
        '{{ contract }}' as contract,
        tenant_id,
        {{ key_of[contract] }} as event_key,
        {{ rejection_reason(contract) }} as reason,
        occurred_at,
        {{ event_clocks() }},
        {{ trace_columns() }}
    from {{ new_rows(source('bronze', contract)) }}
    where {{ rejection_reason(contract) }} is not null
),
{% endfor %}
unioned as (
    {%- for contract in contracts %}
    select * from {{ contract }}
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- endfor %}
),

final as (
    select
        contract,
        tenant_id,
        event_key,
        reason,
        occurred_at,
        event_at,
        event_date,
        {{ trace_columns() }}
    from unioned
    where {{ in_scope('event_date') }}
)

select * from final
