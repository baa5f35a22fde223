{{
    config(
        incremental_strategy='replace_buckets',
        partition_by=['tenant_id', 'campaign_date'],
    )
}}

{{ campaign_metrics('campaign_date') }}
