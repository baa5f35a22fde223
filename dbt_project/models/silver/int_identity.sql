{{
    config(
        incremental_strategy='replace_buckets',
        partition_by=['tenant_id', 'first_seen_date'],
        meta={'reads': 'rows', 'sliced_by': ['tenant_id', 'identifier_type', 'identifier']},
    )
}}

{#- Every column is a first or a sum, so an increment joins what new events say of an identifier
    with the row that it has, and reads no old event. What they do not change is not written. -#}

{%- set first_page = 'page_place' %}
{%- set of_pages = 'filter (where is_page_event and not is_date_clamped)' %}

{%- set fresh_sql %}
    with evidence as (
        {{ identifier_evidence(
            new_or_read_rows(ref('stg_clickstream'), 'event_id'),
            new_or_read_rows(ref('stg_registrations'), 'registration_id'),
            new_or_read_rows(ref('stg_conversions'), 'conversion_id'),
            new_or_read_rows(ref('stg_app_events'), 'event_id'),
        ) }}
    ),

    firsts as (
        select
            tenant_id,
            identifier_type,
            identifier,
            min({'linked_at': event_at, 'user_id': user_id}) filter (where user_id is not null)
                as link,
            min(event_at) as first_seen_at,
            min(event_at) {{ of_pages }} as first_page_at,
            arg_min(event_key, {{ first_page }}) {{ of_pages }} as first_page_key,
            {{ of_first_page(first_page, of_pages, prefix='') }},
            min(event_at) filter (where step = 'signup' and not is_date_clamped) as signed_up_at,
            min(event_at) filter (where step = 'wallet_connect' and not is_date_clamped)
                as wallet_connected_at,
            min(event_at) filter (where step = 'purchase' and not is_date_clamped)
                as purchased_at,
            sum(purchase_count) as purchase_count,
            sum(revenue_usd) as revenue_usd
        from (
            select
                *,
                create_sort_key(event_at, 'asc nulls last', event_key, 'asc nulls last')
                    as page_place
            from evidence
        )
        where
            {{ in_slice() }}
{%- if is_backfill() %}
            and (tenant_id, identifier_type, identifier) in (
                select tenant_id, identifier_type, identifier
                from evidence
                where {{ in_scope('event_date') }}
            )
{%- endif %}
        group by all
    )

    select
        tenant_id,
        identifier_type,
        identifier,
        link.user_id,
        link.linked_at,
        first_seen_at,
        {{ utc_date('first_seen_at') }} as first_seen_date,
        first_page_at,
        first_page_key,
        first_site_id,
        first_country,
        first_device_type,
        first_channel,
        first_utm_source,
        first_utm_medium,
        first_utm_campaign,
        signed_up_at,
        wallet_connected_at,
        purchased_at,
        cast(coalesce(purchase_count, 0) as bigint) as purchase_count,
        cast(coalesce(revenue_usd, 0) as decimal(18, 2)) as revenue_usd
    from firsts
{%- endset %}

{%- if is_incremental() %}
    {%- set fresh = stage_rows('fresh', fresh_sql) %}
    {%- set changing_sql %}
        with seen as (
            select
                tenant_id,
                identifier_type,
                identifier,
                first_seen_date,
                first_seen_at,
                linked_at,
                first_page_at
            from {{ rows_near(this, ['identifier_type', 'identifier'], fresh) }}
            where (tenant_id, identifier_type, identifier) in (
                select tenant_id, identifier_type, identifier from {{ fresh }}
            )
        )

        select
            fresh.*,
            seen.first_seen_date as known_date
        from {{ fresh }} as fresh
        left join seen using (tenant_id, identifier_type, identifier)
        where {{ changes_firsts('fresh', 'seen') }}
    {%- endset %}
    {%- set changing = stage_rows('changing', changing_sql) %}
    {%- set known_days_sql %}
        select distinct tenant_id, known_date from {{ changing }} where known_date is not null
    {%- endset %}
    {%- set known_sql %}
        select * from {{ this }}
        where
            {{ in_buckets_of(known_days_sql, 'first_seen_date') }}
            and (tenant_id, identifier_type, identifier) in (
                select tenant_id, identifier_type, identifier from {{ changing }}
            )
    {%- endset %}
    {%- set known = stage_rows('known', known_sql) %}
    {%- set first_page = '(first_page_at, first_page_key)' %}
    {%- set of_pages = 'filter (where first_page_at is not null)' %}
    {%- set merged_sql %}
        select
            tenant_id,
            identifier_type,
            identifier,
            arg_min(user_id, (linked_at, user_id)) filter (where user_id is not null) as user_id,
            min(linked_at) as linked_at,
            min(first_seen_at) as first_seen_at,
            {{ utc_date('min(first_seen_at)') }} as first_seen_date,
            min(first_page_at) as first_page_at,
            arg_min(first_page_key, {{ first_page }}) {{ of_pages }} as first_page_key,
            {{ of_first_page(first_page, of_pages) }},
            min(signed_up_at) as signed_up_at,
            min(wallet_connected_at) as wallet_connected_at,
            min(purchased_at) as purchased_at,
            cast(sum(purchase_count) as bigint) as purchase_count,
            cast(sum(revenue_usd) as decimal(18, 2)) as revenue_usd
        from (
            select * exclude (known_date) from {{ changing }}
            union all by name
            select * from {{ known }}
        )
        group by all
    {%- endset %}
    {%- set merged = stage_rows('merged', merged_sql) %}
    {%- set touched_sql %}
        select tenant_id, first_seen_date from {{ known }}
        union
        select tenant_id, first_seen_date from {{ merged }}
    {%- endset %}
    {%- do replaces_buckets(touched_sql) %}
    {%- do keeps_changes(merged, known) %}
    {%- set kept_sql %}
        select * from {{ this }}
        where
            {{ in_buckets_of(touched_sql, 'first_seen_date') }}
            and (tenant_id, identifier_type, identifier) not in (
                select tenant_id, identifier_type, identifier from {{ known }}
            )
    {%- endset %}
select * from {{ merged }}
{{ and_keeps(kept_sql) }}
{%- else %}

select * from ({{ fresh_sql }})
where {{ in_scope('first_seen_date') }}
{%- endif %}
