{# The beginning of the window that an event falls in; windows are counted from midnight UTC. In whole
   numbers: time_bucket asks the calendar of the time zone, which takes ten times as long. #}
{% macro window_start(minutes, moment='event_at') -%}
    {%- set us = minutes * 60 * 1000 * 1000 -%}
    make_timestamptz(epoch_us({{ moment }}) // {{ us }} * {{ us }})
{%- endmacro %}

{# A mart names a site that an event does not name. #}
{% macro known_site() -%}
    coalesce(site_id, 'unknown')
{%- endmacro %}

{# Activity, conversions, revenue and load time by window of so many minutes: the one text of
   fct_metrics_1m, _5m, _15m and _60m. A day must be a whole number of windows.

   An increment works out the sites of those windows that events came or went of, as a live view does,
   and keeps the other rows of their days. #}
{% macro metrics_by_window(minutes) -%}
{%- set in_days = in_scope('event_date') -%}
{%- if is_incremental() -%}
    {%- set touched = stage_rows('touched', changed_windows(minutes)) -%}
    {%- set touched_days = 'select distinct tenant_id, event_date from ' ~ touched -%}
    {%- do replaces_buckets(touched_days) -%}
    {%- set in_days = in_buckets_of(touched_days, 'event_date') -%}
{%- endif -%}
{%- set page_events = page_events_by_window(minutes, in_days) -%}
{%- set happenings = happenings_in(page_events) -%}
with
{%- if is_incremental() %}
touched as (
    select * from {{ touched }}
),
{% endif %}
registrations as (
    select
        tenant_id,
        event_date,
        session_id,
        {{ window_start(minutes) }} as window_start,
        {{ known_site() }} as site_id
    from {{ ref('stg_registrations') }}
    where {{ in_days }}
),

conversions as (
    select
        tenant_id,
        event_date,
        session_id,
        {{ window_start(minutes) }} as window_start,
        {{ known_site() }} as site_id,
        amount_usd,
        is_purchase
    from {{ ref('stg_conversions') }}
    where {{ in_days }}
),

happenings as (
{{ happenings }}
),

-- A visit's channel is that of its first event of the day: later pages have the site itself as
-- their referrer, and registrations and conversions know no channel.
channels as (
    {%- if is_held() %}
    select * from held.open_visits
    {%- else %}
    {{ first_of_visits(
        'select * from (' ~ page_events ~ ') ' ~ of_visits_in(step('happenings', happenings))
    ) }}
    {%- endif %}
),

final as (
    select
        h.tenant_id,
        h.event_date as metric_date,
        h.window_start,
        h.site_id,
        coalesce(channels.channel, 'unknown') as channel,
        count(*) filter (where h.happening not in ('registration', 'conversion')) as event_count,
        count(distinct h.session_id) filter (
            where h.happening not in ('registration', 'conversion')
        ) as session_count,
        count(distinct h.user_id) filter (
            where h.happening not in ('registration', 'conversion')
        ) as user_count,
        count(*) filter (where h.happening = 'page_view') as page_view_count,
        count(*) filter (where h.happening = 'registration') as registration_count,
        count(*) filter (where h.happening = 'conversion') as conversion_count,
        {{ purchase_count('h.') }} as purchase_count,
        {{ revenue_usd('h.') }} as revenue_usd,
        quantile_cont(h.page_load_ms, 0.95) as p95_page_load_ms
    from happenings as h
    left join channels using (tenant_id, event_date, session_id)
    group by all
)

select * from final
{%- if is_incremental() %}
union all by name
select * from {{ this }}
anti join touched using ({{ touched_key() }})
where {{ in_buckets_of(touched_days, 'metric_date') }}
{%- endif %}
{%- endmacro %}

{# For an increment: the sites and windows that events came or went of. To them belong all windows of a
   visit whose first event of the day came or went, since its channel may be another now. #}
{% macro changed_windows(minutes) -%}
{%- set happening = ['tenant_id', 'event_date', 'session_id', 'event_at', 'site_id'] -%}
{%- set page = ['event_id', 'user_id', 'event_type', 'page_load_ms', 'channel'] + happening -%}
{%- set registration = ['registration_id'] + happening -%}
{%- set conversion = ['conversion_id', 'amount_usd', 'is_purchase'] + happening -%}
{%- set pages = stage_rows(
    'pages', changed_rows(ref('stg_clickstream'), page, ['tenant_id', 'event_id'])
) -%}
{%- set in_days = in_buckets_of('select distinct tenant_id, event_date from ' ~ pages, 'event_date') -%}
{%- set happening = happening | join(', ') -%}
with changed as (
    select {{ happening }} from {{ pages }}
    union all
    select {{ happening }}
    from ({{ changed_rows(
        ref('stg_registrations'), registration, ['tenant_id', 'registration_id']
    ) }})
    union all
    select {{ happening }}
    from ({{ changed_rows(
        ref('stg_conversions'), conversion, ['tenant_id', 'conversion_id']
    ) }})
),

changed_visits as (
    select
        tenant_id,
        event_date,
        session_id,
        min(event_at) as changed_from
    from {{ pages }}
    group by all
),

page_events as materialized (
    select
        e.tenant_id,
        e.event_date,
        e.session_id,
        e.event_at,
        e.site_id
    from {{ ref('stg_clickstream') }} as e
    inner join changed_visits using (tenant_id, event_date, session_id)
    where {{ in_days }}
),

firsts as (
    select
        tenant_id,
        event_date,
        session_id,
        min(event_at) as first_at
    from page_events
    group by all
),

other_channel as (
    select tenant_id, event_date, session_id
    from changed_visits
    left join firsts using (tenant_id, event_date, session_id)
    where first_at is null or first_at >= changed_from
),

happened as (
    select {{ happening }} from page_events
    union all
    select {{ happening }} from {{ ref('stg_registrations') }} where {{ in_days }}
    union all
    select {{ happening }} from {{ ref('stg_conversions') }} where {{ in_days }}
),

all_of_them as (
    select * from changed
    union all
    select happened.* from happened
    semi join other_channel using (tenant_id, event_date, session_id)
)

select distinct
    tenant_id,
    event_date,
    {{ window_start(minutes) }} as window_start,
    {{ known_site() }} as site_id
from all_of_them
{%- endmacro %}

{% macro page_events_by_window(minutes, in_days) -%}
    select
        tenant_id,
        event_date,
        session_id,
        event_id,
        event_at,
        {{ window_start(minutes) }} as window_start,
        {{ known_site() }} as site_id,
        user_id,
        event_type,
        page_load_ms,
        channel
    from {{ ref('stg_clickstream') }}
    where {{ in_days }}
{%- endmacro %}

{# The first page event of each visit of a day, of page events that a query gives: what a visit's channel
   follows from. #}
{% macro first_of_visits(page_events) -%}
    select
        tenant_id,
        event_date,
        session_id,
        min(event_at) as event_at,
        arg_min(event_id, (event_at, event_id)) as event_id,
        arg_min(channel, (event_at, event_id)) as channel
    from ({{ page_events }})
    group by tenant_id, event_date, session_id
{%- endmacro %}

{# What a window counts. #}
{% macro happenings_in(page_events) -%}
    select
        tenant_id,
        event_date,
        window_start,
        session_id,
        site_id,
        user_id,
        event_type as happening,
        page_load_ms,
        cast(null as decimal(18, 2)) as amount_usd,
        false as is_purchase
    from ({{ page_events }})
    where {{ in_windows() }}
    union all
    select
        tenant_id,
        event_date,
        window_start,
        session_id,
        site_id,
        null as user_id,
        'registration' as happening,
        cast(null as double) as page_load_ms,
        cast(null as decimal(18, 2)) as amount_usd,
        false as is_purchase
    from registrations
    where {{ in_windows() }}
    union all
    select
        tenant_id,
        event_date,
        window_start,
        session_id,
        site_id,
        null as user_id,
        'conversion' as happening,
        cast(null as double) as page_load_ms,
        amount_usd,
        is_purchase
    from conversions
    where {{ in_windows() }}
{%- endmacro %}
