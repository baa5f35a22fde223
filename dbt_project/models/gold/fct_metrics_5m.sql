{{
    config(
        incremental_strategy='replace_buckets',
        partition_by=['tenant_id', 'metric_date'],
        meta={'reads': 'changes'},
    )
}}

{{ metrics_by_window(5) }}
