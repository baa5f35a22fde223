{{
    config(
        incremental_strategy='replace_buckets',
        partition_by=['tenant_id', 'revenue_date'],
    )
}}

with purchases as (
    select * from {{ ref('stg_conversions') }}
    where is_purchase and {{ in_scope('event_date') }}
),

final as (
    select
        tenant_id,
        event_date as revenue_date,
        coalesce(site_id, 'unknown') as site_id,
        {{ purchase_count() }} as purchase_count,
        {{ revenue_usd() }} as gross_usd,
        {{ tokens_bought() }} as token_amount,
        {{ payer_count() }} as payer_count,
        {{ arpu_usd() }} as arpu_usd,
        {{ revenue_usd_in('ETH') }} as gross_eth_usd,
        {{ revenue_usd_in('BTC') }} as gross_btc_usd,
        {{ revenue_usd_in('USDT') }} as gross_usdt_usd,
        {{ revenue_usd_in('USDC') }} as gross_usdc_usd,
        cast(
            gross_usd - gross_eth_usd - gross_btc_usd - gross_usdt_usd - gross_usdc_usd
            as decimal(18, 2)
        ) as gross_other_usd
    from purchases
    group by tenant_id, revenue_date, coalesce(site_id, 'unknown')
)

select * from final
