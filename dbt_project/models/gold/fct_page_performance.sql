{{
    config(
        incremental_strategy='replace_buckets',
        partition_by=['tenant_id', 'performance_date'],
        meta={'sliced_by': 'days'},
    )
}}

with page_views as (
    select * from {{ ref('stg_clickstream') }}
    where event_type = 'page_view' and {{ in_scope('event_date') }}
),

measured as (
    select
        tenant_id,
        event_date as performance_date,
        coalesce(site_id, 'unknown') as site_id,
        coalesce(page_type, 'unknown') as page_type,
        coalesce(device_type, 'unknown') as device_type,
        page_load_ms,
        http_status
    from page_views
),

final as (
    select
        tenant_id,
        performance_date,
        site_id,
        page_type,
        device_type,
        count(*) as page_view_count,
        count(page_load_ms) as load_count,
        quantile_cont(page_load_ms, 0.50) as p50_page_load_ms,
        quantile_cont(page_load_ms, 0.75) as p75_page_load_ms,
        quantile_cont(page_load_ms, 0.95) as p95_page_load_ms,
        quantile_cont(page_load_ms, 0.99) as p99_page_load_ms,
        count(*) filter (where page_load_ms > {{ var('slow_page_ms') }}) as slow_count,
        {{ share_of('slow_count', 'load_count') }} as slow_share,
        count(http_status) as status_count,
        count(*) filter (where http_status >= 400) as error_count,
        {{ share_of('error_count', 'status_count') }} as error_share
    from measured
    group by all
)

select * from final
