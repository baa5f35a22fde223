{{
    config(
        incremental_strategy='insert_new',
        unique_key=['tenant_id', 'registration_id'],
        partition_by=['tenant_id', 'event_date'],
    )
}}

{%- set valid %}
    select
        *,
        {{ event_clocks() }}
    from {{ new_rows(source('bronze', 'registrations')) }}
    where {{ rejection_reason('registrations') }} is null
{%- endset %}

with sites as (
    select * from {{ ref('sites') }}
),

first_of_each as (
    {{ first_of_each(valid, ['tenant_id', 'registration_id']) }}
),

final as (
    select
        e.tenant_id,
        e.registration_id,
        e.user_id,
        e.session_id,
        e.occurred_at,
        e.event_at,
        e.event_date,
        e.email,
        e.wallet_address,
        e.social_handles,
        e.consent_marketing as has_marketing_consent,
        e.kyc_completed as is_kyc_completed,
        e.verification_tier,
        e.country,
        e.site_id,
        sites.category as site_category,
        sites.token_symbol as site_token_symbol,
        e.ip,
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
