{# What is new in bronze and silver, counted by tenant, day of arrival and contract: one row a number
   that is not 0. #}
{% macro counted_arrivals(contracts) -%}
with
{%- for contract in contracts %}
{{ contract }}_rows as (
    select
        coalesce(nullif(tenant_id, ''), 'unknown') as tenant_id,
        {{ utc_date('_committed_at') }} as arrival_date,
        '{{ contract }}' as contract,
        [
            {'what': 'rows', 'amount': count(*)}
            {%- for column in contract_columns(contract) if not column.required %},
            {'what': 'null:{{ column.name }}', 'amount': count(*) - count({{ column.name }})}
            {%- endfor %}
        ] as measures
    from {{ new_rows(source('bronze', contract)) }}
    group by all
),

{{ contract }}_events as (
    select
        tenant_id,
        {{ utc_date('_committed_at') }} as arrival_date,
        '{{ contract }}' as contract,
        [
            {'what': 'events', 'amount': count(*)},
            {'what': 'rescued', 'amount': count(_rescued)},
            {'what': 'late', 'amount': count(*) filter (where is_late)},
            {'what': 'future', 'amount': count(*) filter (where is_future)},
            {'what': 'date_clamped', 'amount': count(*) filter (where is_date_clamped)},
            {'what': 'newest:event_at', 'amount': max(epoch_us(event_at))},
            {
                'what': 'newest:arrived_at',
                'amount': max(epoch_us(least(_appended_at, _committed_at)))
            },
            {'what': 'newest:committed_at', 'amount': max(epoch_us(_committed_at))}
        ] as measures
    from {{ new_rows(ref('stg_' ~ contract)) }}
    group by all
),
{%- endfor %}

rejected as (
    select
        coalesce(nullif(tenant_id, ''), 'unknown') as tenant_id,
        {{ utc_date('_committed_at') }} as arrival_date,
        contract,
        [{'what': 'rejected', 'amount': count(*)}] as measures
    from {{ new_rows(ref('stg_rejected_events')) }}
    group by all
),

dead_letters as (
    select
        coalesce(nullif(tenant_id, ''), 'unknown') as tenant_id,
        {{ utc_date('_committed_at') }} as arrival_date,
        coalesce(contract, 'unknown') as contract,
        [{'what': 'dead_letters', 'amount': count(*)}] as measures
    from {{ new_rows(source('bronze', 'dead_letters')) }}
    group by all
),

counted as (
    {%- for contract in contracts %}
    select * from {{ contract }}_rows
    union all
    select * from {{ contract }}_events
    union all
    {%- endfor %}
    select * from rejected
    union all
    select * from dead_letters
),

measured as (
    select
        tenant_id,
        arrival_date,
        contract,
        unnest(measures) as measure
    from counted
)

select
    tenant_id,
    arrival_date,
    contract,
    measure.what as what,
    cast(measure.amount as bigint) as amount
from measured
where measure.amount != 0
{%- endmacro %}
