{{
    config(
        incremental_strategy='replace_buckets',
        partition_by=['tenant_id', 'first_seen_date'],
        meta={'reads': 'rows'},
    )
}}

{#- Every column is a first, a last or a sum, so an increment joins what new events say of an
    identifier with the row that it has, and reads no old event. -#}

{%- set first_page = '(event_at, event_key)' %}
{%- set of_pages = 'filter (where is_page_event and not is_date_clamped)' %}

{#- What each event says of the identifiers that it carries; a count is said of one of
    them only. -#}
{%- set evidence_sql %}
    select
        tenant_id,
        'visit' as identifier_type,
        session_id as identifier,
        user_id,
        event_date,
        event_at,
        is_date_clamped,
        event_id as event_key,
        true as is_page_event,
        site_id,
        country,
        device_type,
        channel,
        utm_source,
        utm_medium,
        utm_campaign,
        null as step,
        1 as event_count,
        0 as purchase_count,
        0::decimal(18, 2) as revenue_usd
    from {{ new_or_read_rows(ref('stg_clickstream'), 'event_id') }}
    union all by name
    select
        tenant_id,
        'user' as identifier_type,
        user_id as identifier,
        user_id,
        event_date,
        event_at
    from {{ new_or_read_rows(ref('stg_clickstream'), 'event_id') }}
    where user_id is not null
    union all by name
    select
        tenant_id,
        unnest(['user', 'visit']) as identifier_type,
        unnest([user_id, session_id]) as identifier,
        user_id,
        event_date,
        event_at,
        is_date_clamped,
        unnest(['signup', null]) as step
    from {{ new_or_read_rows(ref('stg_registrations'), 'registration_id') }}
    union all by name
    select
        tenant_id,
        unnest(['user', 'visit']) as identifier_type,
        unnest([user_id, session_id]) as identifier,
        user_id,
        event_date,
        event_at,
        is_date_clamped,
        unnest([
            case
                when is_purchase then 'purchase'
                when conversion_type = 'wallet_connect' then 'wallet_connect'
            end,
            null
        ]) as step,
        unnest([is_purchase::integer, 0]) as purchase_count,
        unnest([
            case when is_purchase then coalesce(amount_usd, 0) else 0 end, 0
        ])::decimal(18, 2) as revenue_usd
    from {{ new_or_read_rows(ref('stg_conversions'), 'conversion_id') }}
    union all by name
    select
        tenant_id,
        unnest(['user', 'device', 'device']) as identifier_type,
        unnest([
            user_id,
            device_id,
            case
                when event_type = 'alias' and user_id is not null
                    then json_extract_string(properties, '$.previousId')
            end
        ]) as identifier,
        user_id,
        event_date,
        event_at,
        unnest([(device_id is null)::integer, 1, 0]) as event_count
    from {{ new_or_read_rows(ref('stg_app_events'), 'event_id') }}
{%- endset %}

{%- set fresh_sql %}
    with evidence as (
        select * from ({{ evidence_sql }})
        where identifier != ''
    )

    select
        tenant_id,
        identifier_type,
        identifier,
        arg_min(user_id, (event_at, user_id)) filter (where user_id is not null) as user_id,
        min(event_at) filter (where user_id is not null) as linked_at,
        min(event_at) as first_seen_at,
        max(event_at) as last_seen_at,
        min(event_at) {{ of_pages }} as first_page_at,
        arg_min(event_key, {{ first_page }}) {{ of_pages }} as first_page_key,
        arg_min_null(site_id, {{ first_page }}) {{ of_pages }} as first_site_id,
        arg_min_null(country, {{ first_page }}) {{ of_pages }} as first_country,
        arg_min_null(device_type, {{ first_page }}) {{ of_pages }} as first_device_type,
        arg_min_null(channel, {{ first_page }}) {{ of_pages }} as first_channel,
        arg_min_null(utm_source, {{ first_page }}) {{ of_pages }} as first_utm_source,
        arg_min_null(utm_medium, {{ first_page }}) {{ of_pages }} as first_utm_medium,
        arg_min_null(utm_campaign, {{ first_page }}) {{ of_pages }} as first_utm_campaign,
        min(event_at) filter (where step = 'signup' and not is_date_clamped) as signed_up_at,
        min(event_at) filter (where step = 'wallet_connect' and not is_date_clamped)
            as wallet_connected_at,
        min(event_at) filter (where step = 'purchase' and not is_date_clamped) as purchased_at,
        coalesce(sum(event_count), 0) as event_count,
        coalesce(sum(purchase_count), 0) as purchase_count,
        coalesce(sum(revenue_usd), 0) as revenue_usd
    from evidence
{%- if is_backfill() %}
    where (tenant_id, identifier_type, identifier) in (
        select tenant_id, identifier_type, identifier
        from evidence
        where {{ in_scope('event_date') }}
    )
{%- endif %}
    group by all
{%- endset %}

{%- if is_incremental() %}
    {%- set fresh = stage_rows('fresh', fresh_sql) %}
    {%- set is_known %}
        (tenant_id, identifier_type, identifier) in (
            select tenant_id, identifier_type, identifier from {{ fresh }}
        )
    {%- endset %}
    {%- set known = stage_rows('known', rows_where(this, 'first_seen_date', is_known)) %}
{%- endif %}

{%- set merged_sql %}
    select
        tenant_id,
        identifier_type,
        identifier,
        arg_min(user_id, (linked_at, user_id)) filter (where user_id is not null) as user_id,
        min(linked_at) as linked_at,
        min(first_seen_at) as first_seen_at,
        max(last_seen_at) as last_seen_at,
        cast(min(first_seen_at) as date) as first_seen_date,
        min(first_page_at) as first_page_at,
{%- set first_page = '(first_page_at, first_page_key)' %}
{%- set of_pages = 'filter (where first_page_at is not null)' %}
        arg_min(first_page_key, {{ first_page }}) {{ of_pages }} as first_page_key,
        arg_min_null(first_site_id, {{ first_page }}) {{ of_pages }} as first_site_id,
        arg_min_null(first_country, {{ first_page }}) {{ of_pages }} as first_country,
        arg_min_null(first_device_type, {{ first_page }}) {{ of_pages }} as first_device_type,
        arg_min_null(first_channel, {{ first_page }}) {{ of_pages }} as first_channel,
        arg_min_null(first_utm_source, {{ first_page }}) {{ of_pages }} as first_utm_source,
        arg_min_null(first_utm_medium, {{ first_page }}) {{ of_pages }} as first_utm_medium,
        arg_min_null(first_utm_campaign, {{ first_page }}) {{ of_pages }} as first_utm_campaign,
        min(signed_up_at) as signed_up_at,
        min(wallet_connected_at) as wallet_connected_at,
        min(purchased_at) as purchased_at,
        cast(sum(event_count) as bigint) as event_count,
        cast(sum(purchase_count) as bigint) as purchase_count,
        cast(sum(revenue_usd) as decimal(18, 2)) as revenue_usd
    from (
{%- if is_incremental() %}
        select * from {{ fresh }}
        union all by name
        select * exclude (first_seen_date) from {{ known }}
        {%- else %}
{{ fresh_sql }}
{%- endif %}
    )
    group by all
{%- endset %}

{%- if is_incremental() %}
    {%- set merged = stage_rows('merged', merged_sql) %}
    {%- set touched_sql %}
        select tenant_id, first_seen_date from {{ known }}
        union
        select tenant_id, first_seen_date from {{ merged }}
    {%- endset %}
    {%- do replaces_buckets(touched_sql) %}
select * from {{ merged }}
union all by name
select *
from {{ this }}
where
    {{ in_buckets_of(touched_sql, 'first_seen_date') }}
    and (tenant_id, identifier_type, identifier) not in (
        select tenant_id, identifier_type, identifier from {{ known }}
    )
{%- else %}

select * from ({{ merged_sql }})
where {{ in_scope('first_seen_date') }}
{%- endif %}
