{{
    config(
        incremental_strategy='replace_buckets',
        partition_by=['tenant_id', 'first_seen_date'],
        meta={'reads': 'changes', 'sliced_by': ['tenant_id', 'person_type', 'person_id']},
    )
}}

{#- An increment makes those persons anew whose identifiers changed, from all of their identifiers:
    one that turns out to be somebody else's leaves its person. Another identifier of a known person
    changes nothing, unless it comes with a step, a purchase or an earlier event. -#}

{%- set identity = ref('int_identity') %}
{%- set person_type = "case when user_id is null then identifier_type else 'user' end" %}
{%- set person_id = 'coalesce(user_id, identifier)' %}
{%- set person %}
    tenant_id,
    {{ person_type }} as person_type,
    {{ person_id }} as person_id
{%- endset %}
{%- set first_page = '(first_page_at, first_page_key)' %}
{%- set of_pages = 'filter (where first_page_at is not null)' %}

{%- if is_incremental() %}
    {%- set key = ['tenant_id', 'identifier_type', 'identifier'] %}
    {%- set came = stage_rows('came', came_rows(identity, ['*'], key)) %}
    {%- set gone = stage_rows('gone', gone_rows(identity, ['*'], key)) %}
    {%- set touched_sql %}
        with news as (
            select
                {{ person }},
                min(first_seen_at) as first_seen_at,
                min(linked_at) as linked_at,
                min(first_page_at) as first_page_at,
                min(signed_up_at) as signed_up_at,
                min(wallet_connected_at) as wallet_connected_at,
                min(purchased_at) as purchased_at,
                sum(purchase_count) as purchase_count
            from {{ came }}
            group by all
        ),

        seen as (
            select
                tenant_id,
                person_type,
                person_id,
                identified_at as linked_at,
                first_seen_at,
                first_page_at
            from {{ this }}
            where (tenant_id, person_type, person_id) in (
                select tenant_id, person_type, person_id from news
            )
        )

        select tenant_id, person_type, person_id
        from news
        left join seen using (tenant_id, person_type, person_id)
        where {{ changes_firsts('news', 'seen') }}
        union
        select {{ person }} from {{ gone }}
    {%- endset %}
    {%- set touched = stage_rows('touched', touched_sql) %}
    {%- set is_touched = '(tenant_id, person_type, person_id) in (select * from ' ~ touched ~ ')' %}
    {%- set known = stage_rows('known', rows_where(this, 'first_seen_date', is_touched)) %}
    {%- set is_of_touched %}
        (tenant_id, {{ person_type }}, {{ person_id }}) in (select * from {{ touched }})
    {%- endset %}
{%- endif %}

{%- set persons_sql %}
    with identifiers as (
        select
            *,
            {{ person }}
        from {{ '(' ~ rows_where(identity, 'first_seen_date', is_of_touched) ~ ')' if is_incremental() else identity }}
    )

    select
        tenant_id,
        person_type,
        person_id,
        person_type = 'user' as is_known,
        min(linked_at) as identified_at,
        min(first_seen_at) as first_seen_at,
        cast(min(first_seen_at) as date) as first_seen_date,
        min(first_page_at) as first_page_at,
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
        cast(sum(purchase_count) as bigint) as purchase_count,
        cast(sum(revenue_usd) as decimal(18, 2)) as revenue_usd
    from identifiers
    where
        {{ in_slice() }}
{%- if is_backfill() %}
        and (tenant_id, person_type, person_id) in (
        select tenant_id, person_type, person_id
        from identifiers
        where {{ in_scope('first_seen_date') }}
    )
{%- endif %}
    group by all
{%- endset %}

{%- if is_incremental() %}
    {%- set made = stage_rows('made', persons_sql) %}
    {%- set replaced_sql %}
        select tenant_id, first_seen_date from {{ known }}
        union
        select tenant_id, first_seen_date from {{ made }}
    {%- endset %}
    {%- do replaces_buckets(replaced_sql) %}
select * from {{ made }}
union all by name
select *
from {{ this }}
where
    {{ in_buckets_of(replaced_sql, 'first_seen_date') }}
    and (tenant_id, person_type, person_id) not in (
        select tenant_id, person_type, person_id from {{ known }}
    )
{%- else %}

select * from ({{ persons_sql }})
where {{ in_scope('first_seen_date') }}
{%- endif %}
