{{
    config(
        incremental_strategy='replace_buckets',
        partition_by=['tenant_id', 'activity_date'],
        meta={'sliced_by': 'days'},
    )
}}

{%- set days = {} %}
{%- for contract in ['clickstream', 'registrations', 'conversions', 'app_events'] %}
    {%- do days.update({
        contract: '(select * from ' ~ ref('stg_' ~ contract) ~ ' where ' ~ in_scope('event_date') ~ ')'
    }) %}
{%- endfor %}

with evidence as (
    {{ identifier_evidence(**days) }}
),

final as (
    select
        tenant_id,
        event_date as activity_date,
        identifier_type,
        identifier,
        max(event_at) as last_seen_at,
        cast(coalesce(sum(event_count), 0) as bigint) as event_count
    from evidence
    group by all
)

select * from final
