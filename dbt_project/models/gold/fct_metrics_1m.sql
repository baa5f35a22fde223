{{
    config(
        incremental_strategy='replace_buckets',
        partition_by=['tenant_id', 'metric_date'],
        meta={'reads': 'changes', 'sliced_by': 'days'},
    )
}}

{{ metrics_by_window(1) }}
