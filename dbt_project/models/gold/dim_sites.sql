{{
    config(
        materialized='table',
    )
}}

{#- As many rows as there are sites: selected anew in each build, written when one differs. -#}

with sites as (
    select * from {{ ref('sites') }}
),

tenants as (
    select distinct tenant_id from sites
),

final as (
    select
        tenant_id,
        site_id,
        project_name,
        category,
        token_symbol,
        domain as site_domain,
        target_raise_usd::decimal(18, 2) as target_raise_usd,
        true as is_known
    from sites
    union all
    select
        tenant_id,
        'unknown' as site_id,
        'unknown' as project_name,
        'unknown' as category,
        null as token_symbol,
        null as site_domain,
        null as target_raise_usd,
        false as is_known
    from tenants
)

select * from final
