{{
    config(
        incremental_strategy='replace_buckets',
        partition_by=['tenant_id', 'metric_date'],
    )
}}

{{ campaign_metrics('metric_date', minutes=1) }}
