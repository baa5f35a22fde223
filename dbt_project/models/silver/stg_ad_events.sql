{{
    config(
        incremental_strategy='insert_new',
        unique_key=['tenant_id', 'event_id'],
        partition_by=['tenant_id', 'event_date'],
    )
}}

{%- set valid %}
    select
        *,
        {{ event_clocks() }}
    from {{ new_rows(source('bronze', 'ad_events')) }}
    where {{ rejection_reason('ad_events') }} is null
{%- endset %}

with first_of_each as (
    {{ first_of_each(valid, ['tenant_id', 'event_id']) }}
),

final as (
    select
        tenant_id,
        event_id,
        user_id,
        occurred_at,
        event_at,
        event_date,
        campaign_id,
        channel,
        event as event_type,
        cost as cost_usd,
        is_late,
        is_future,
        is_date_clamped,
        _rescued,
        {{ trace_columns() }}
    from first_of_each
    where {{ in_scope('event_date') }}
)

select * from final
