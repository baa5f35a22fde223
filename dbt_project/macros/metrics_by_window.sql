{# The beginning of the window that an event falls in; windows are counted from midnight UTC. In whole
   numbers: time_bucket asks the calendar of the time zone, which takes ten times as long. #}
{% macro window_start(minutes, moment='event_at') -%}
    {%- set us = minutes * 60 * 1000 * 1000 -%}
    make_timestamptz(epoch_us({{ moment }}) // {{ us }} * {{ us }})
{%- endmacro %}

{# Activity, conversions, revenue and load time by window of so many minutes: the one text of
   fct_metrics_1m, _5m, _15m and _60m. A day must be a whole number of windows. #}
{% macro metrics_by_window(minutes) -%}
{%- set page_events = page_events_by_window(minutes) -%}
{%- set happenings = happenings_in(step('page_events', page_events)) -%}
with {{ live_steps([ref('stg_clickstream'), ref('stg_registrations'), ref('stg_conversions')]) }}
{%- if not is_live() %}
page_events as (
{{ page_events }}
),
{% endif %}
registrations as (
    select
        tenant_id,
        event_date,
        session_id,
        {{ window_start(minutes) }} as window_start,
        site_id
    from {{ ref('stg_registrations') }}
    where {{ in_scope('event_date') }}
),

conversions as (
    select
        tenant_id,
        event_date,
        session_id,
        {{ window_start(minutes) }} as window_start,
        site_id,
        amount_usd,
        is_purchase
    from {{ ref('stg_conversions') }}
    where {{ in_scope('event_date') }}
),

happenings as (
{{ happenings }}
),

-- A visit's channel is that of its first event of the day: later pages have the site itself as
-- their referrer, and registrations and conversions know no channel.
channels as (
    select
        tenant_id,
        event_date,
        session_id,
        arg_min(channel, (event_at, event_id)) as channel
    from {{ step('page_events', page_events) }}
    {{ of_visits_in(step('happenings', happenings)) }}
    group by tenant_id, event_date, session_id
),

final as (
    select
        h.tenant_id,
        h.event_date as metric_date,
        h.window_start,
        coalesce(h.site_id, 'unknown') as site_id,
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
{%- endmacro %}

{% macro page_events_by_window(minutes) -%}
    select
        tenant_id,
        event_date,
        session_id,
        event_id,
        event_at,
        {{ window_start(minutes) }} as window_start,
        site_id,
        user_id,
        event_type,
        page_load_ms,
        channel
    from {{ ref('stg_clickstream') }}
    where {{ in_scope('event_date') }}
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
    from {{ page_events }}
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
