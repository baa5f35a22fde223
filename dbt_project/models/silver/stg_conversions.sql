{{
    config(
        incremental_strategy='insert_new',
        unique_key=['tenant_id', 'conversion_id'],
        partition_by=['tenant_id', 'event_date'],
    )
}}

{%- set valid %}
    select
        *,
        {{ event_clocks() }}
    from {{ new_rows(source('bronze', 'conversions')) }}
    where {{ rejection_reason('conversions') }} is null
{%- endset %}

with sites as (
    select * from {{ ref('sites') }}
),

first_of_each as (
    {{ first_of_each(valid, ['tenant_id', 'conversion_id']) }}
),

final as (
    select
        e.tenant_id,
        e.conversion_id,
        e.user_id,
        e.session_id,
        e.occurred_at,
        e.event_at,
        e.event_date,
        e.conversion_type,
        e.conversion_type in {{ purchase_types() }} as is_purchase,
        e.amount_usd,
        e.token_amount,
        e.token_symbol,
        e.payment_method,
        e.time_to_convert as time_to_convert_seconds,
        e.site_id,
        sites.category as site_category,
        sites.token_symbol as site_token_symbol,
        e.is_late,
        e.is_future,
        e.is_date_clamped,
        e._rescued,
        {{ trace_columns() }}
    from first_of_each as e
    left join sites
        on e.tenant_id = sites.tenant_id
        and e.site_id = sites.site_id
    where {{ in_scope('event_date') }}
)

select * from final
