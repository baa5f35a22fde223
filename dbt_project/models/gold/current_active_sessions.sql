{{
    config(
        incremental_strategy='replace_buckets',
        partition_by=['tenant_id', 'active_date'],
        meta={'reads': 'rows'},
    )
}}

{%- set silence = "interval '" ~ var('session_gap_minutes') ~ " minutes'" %}

{#- The moment that the table speaks of is the newest commit that silver has read: so the table
    follows from the data alone. Commit times grow, so an increment knows it from its new rows; a
    backfill keeps it. A live view asks the clock instead. -#}
{%- set buckets_sql %}
    select tenant_id, active_date from {{ this }}
    union
    select tenant_id, event_date as active_date from {{ new_rows(ref('stg_clickstream')) }}
{%- endset %}
{%- if is_incremental() %}{% do replaces_buckets(buckets_sql) %}{% endif %}

{%- set moments = [] %}
{%- if not is_backfill() %}
    {%- do moments.append(
        'select max(_committed_at) as moment from ' ~ new_rows(ref('stg_clickstream'))
    ) %}
{%- endif %}
{%- if is_incremental() or is_backfill() %}
    {%- do moments.append('select max(as_of) as moment from ' ~ this) %}
{%- endif %}
{%- set newest_sql = 'select max(moment) as as_of from (' ~ moments | join(' union all ') ~ ')' %}
{%- if is_live() %}{% set newest_sql = 'select now() as as_of' %}{% endif %}
{%- set first_day_sql = 'select cast(as_of - ' ~ silence ~ ' as date) from (' ~ newest_sql ~ ')' %}
{%- set first_day = '(' ~ first_day_sql ~ ')' if is_live() else first_day_of(first_day_sql) %}

with newest as (
    {{ newest_sql }}
),

page_events as (
    select
        tenant_id,
        session_id,
        event_id,
        event_at,
        user_id,
        site_id,
        page_type,
        country,
        device_type
    from {{ ref('stg_clickstream') }}
    where
        not is_date_clamped
        and event_date >= {{ first_day }}
        and event_at > (select as_of - {{ silence }} from newest)
),

final as (
    select
        tenant_id,
        cast(max(event_at) as date) as active_date,
        session_id,
        max(event_at) as last_seen_at,
        arg_max(event_id, (event_at, event_id)) as last_event_id,
        arg_max(user_id, (event_at, event_id)) filter (where user_id is not null) as user_id,
        coalesce(
            arg_max(site_id, (event_at, event_id)) filter (where site_id != 'unknown'), 'unknown'
        ) as site_id,
        coalesce(
            arg_max(page_type, (event_at, event_id)) filter (where page_type != 'unknown'),
            'unknown'
        ) as page_type,
        coalesce(
            arg_max(country, (event_at, event_id)) filter (where country != 'unknown'), 'unknown'
        ) as country,
        coalesce(
            arg_max(device_type, (event_at, event_id)) filter (where device_type != 'unknown'),
            'unknown'
        ) as device_type,
        (select as_of from newest) as as_of
    from page_events
    group by tenant_id, session_id
)

select * from final
where {{ in_scope('active_date') }}
