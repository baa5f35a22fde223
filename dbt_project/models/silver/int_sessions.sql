{{
    config(
        incremental_strategy='replace_buckets',
        partition_by=['tenant_id', 'session_date'],
        meta={'reads': 'rows', 'sliced_by': ['tenant_id', 'session_id']},
    )
}}

{%- set gap = "interval '" ~ var('session_gap_minutes') ~ " minutes'" %}

{#- An increment works on the sessions that a new event touches. Those that were built before are
    taken as intervals, the new events as points; whatever the 30-minute rule joins with a point
    is made anew from silver, over the days it spans and no others. #}
{%- set new_events_sql %}
    select tenant_id, session_id, occurred_at
    from {{ new_rows(ref('stg_clickstream')) }}
    where not is_date_clamped
{%- endset %}

{%- if is_incremental() %}
    {%- set new_events = stage_rows('new_events', new_events_sql) %}
    {%- set changed_sql %}
        with pieces as (
            select
                tenant_id,
                session_id,
                occurred_at as started_at,
                occurred_at as ended_at,
                true as is_new
            from {{ new_events }}
            union all
            select tenant_id, session_id, started_at, ended_at, false as is_new
            from {{ rows_near(this, ['session_id'], new_events) }}
            where (tenant_id, session_id) in (select tenant_id, session_id from {{ new_events }})
        ),

        spaced as (
            select
                *,
                max(ended_at) over (
                    partition by tenant_id, session_id
                    order by started_at, ended_at
                    rows between unbounded preceding and 1 preceding
                ) as open_until
            from pieces
        ),

        numbered as (
            select
                *,
                count_if(open_until is null or started_at > open_until + {{ gap }}) over (
                    partition by tenant_id, session_id
                    order by started_at, ended_at
                    rows unbounded preceding
                ) as session_number
            from spaced
        )

        select
            tenant_id,
            session_id,
            min(started_at) as started_at,
            max(ended_at) as ended_at
        from numbered
        group by tenant_id, session_id, session_number
        having bool_or(is_new)
    {%- endset %}
    {%- set changed = stage_rows('changed', changed_sql) %}
    {%- set spanned_sql %}
        select distinct
            tenant_id,
            unnest(
                generate_series(
                    cast(started_at as date), cast(ended_at as date), interval 1 day
                )
            )::date as event_date
        from {{ changed }}
    {%- endset %}
    {%- set replaced_sql %}
        select old.*
        from (
            select * from {{ this }}
            where {{ in_buckets_of(spanned_sql, 'session_date') }}
        ) as old
        inner join {{ changed }} as changed
            on old.tenant_id = changed.tenant_id
            and old.session_id = changed.session_id
            and old.started_at between changed.started_at and changed.ended_at
    {%- endset %}
    {%- set replaced = stage_rows('replaced', replaced_sql) %}
    {%- set touched_sql %}
        select tenant_id, cast(started_at as date) as session_date from {{ changed }}
        union
        select tenant_id, session_date from {{ replaced }}
    {%- endset %}
    {%- do replaces_buckets(touched_sql) %}
{%- endif %}

{%- set page_events = ref('stg_clickstream') %}
{%- if is_backfill() %}
    {%- set page_events = new_or_read_rows(page_events, 'event_id') %}
{%- endif %}
{%- set candidates %}
    select
        tenant_id,
        session_id,
        hash(tenant_id, session_id) as visit_hash,
        occurred_at,
        event_id,
        user_id,
        event_type,
        page_type,
        page_url,
        site_id,
        country,
        device_type,
        browser,
        channel,
        utm_source,
        utm_medium,
        utm_campaign
    from {{ page_events }}
    where
        {{ in_slice() }}
        and not is_date_clamped
    {% if is_incremental() %}
        and {{ in_buckets_of(spanned_sql, 'event_date') }}
    {% elif is_backfill() %}
        and (tenant_id, session_id) in (
            select tenant_id, session_id
            from {{ ref('stg_clickstream') }}
            where {{ in_scope('event_date') }}
        )
    {% endif %}
{%- endset %}

{#- Read in its place by each step: as a named step that several read, DuckDB would keep all columns
    of all events before it goes on. -#}
{%- set events = '(' ~ candidates ~ ')' %}
{%- if is_incremental() %}
    {%- set events_sql %}
        select candidates.*
        from ({{ candidates }}) as candidates
        inner join {{ changed }} as changed
            on candidates.tenant_id = changed.tenant_id
            and candidates.session_id = changed.session_id
            and candidates.occurred_at between changed.started_at and changed.ended_at
    {%- endset %}
    {%- set events = stage_rows('events', events_sql) %}
{%- endif %}

{#- Sorting is what costs, and few visits need it: those that may be of several sessions, and those
    of which two events have the same moment. In all others the moment says what comes first. They are
    found by a hash, which is quicker than by strings; should two visits have one, both are sorted. -#}
with visits_to_sort as materialized (
    select visit_hash
    from {{ events }}
    group by visit_hash
    having max(occurred_at) > min(occurred_at) + {{ gap }}
    union
    select visit_hash
    from {{ events }}
    group by visit_hash, occurred_at
    having count(*) > 1
),

sorted as (
    select
        events.*,
        row_number() over visit as place,
        lag(occurred_at) over visit as previous_at
    from {{ events }} as events
    semi join visits_to_sort using (visit_hash)
    window visit as (
        partition by tenant_id, session_id
        order by occurred_at, event_id
    )
),

numbered as (
    select
        * exclude (previous_at),
        count_if(previous_at is null or occurred_at > previous_at + {{ gap }}) over (
            partition by tenant_id, session_id
            order by place
            rows unbounded preceding
        ) as session_number
    from sorted
    union all by name
    select
        *,
        epoch_us(occurred_at) as place,
        1 as session_number
    from {{ events }}
    anti join visits_to_sort using (visit_hash)
),

-- arg_min and arg_max pass over nulls, arg_min_null does not.
sessions as (
    select
        tenant_id,
        session_id,
        arg_max(user_id, place) as user_id,
        min(occurred_at) as started_at,
        max(occurred_at) as ended_at,
        count(*) as event_count,
        count(*) filter (where event_type = 'page_view') as page_view_count,
        count(*) filter (where event_type in ('click', 'form_interaction'))
            as interaction_count,
        arg_min(page_type, place) as entry_page_type,
        arg_max(page_type, place) as exit_page_type,
        arg_min(site_id, place) as site_id,
        arg_min(country, place) as country,
        arg_min(device_type, place) as device_type,
        arg_min(browser, place) as browser,
        arg_min(channel, place) as channel,
        arg_min_null(utm_source, place) as utm_source,
        arg_min_null(utm_medium, place) as utm_medium,
        arg_min_null(utm_campaign, place) as utm_campaign,
        arg_min(page_url, place) as entry_page_url,
        arg_max(page_url, place) as exit_page_url
    from numbered
    group by tenant_id, session_id, session_number
),

final as (
    select
        md5(
            concat_ws('|', length(tenant_id), tenant_id, session_id, epoch_us(started_at))
        ) as session_key,
        tenant_id,
        session_id,
        user_id,
        started_at,
        ended_at,
        {{ utc_date('started_at') }} as session_date,
        event_count,
        page_view_count,
        entry_page_type,
        exit_page_type,
        entry_page_url,
        exit_page_url,
        site_id,
        country,
        device_type,
        browser,
        channel,
        utm_source,
        utm_medium,
        utm_campaign,
        {{ seconds_after('ended_at', 'started_at') }} as duration_seconds,
        page_view_count <= 1 and interaction_count = 0 as is_bounce
    from sessions
)

select * from final
{%- if is_incremental() %}
    {%- set kept_sql %}
        select * from {{ this }}
        where
            {{ in_buckets_of(touched_sql, 'session_date') }}
            and session_key not in (select session_key from {{ replaced }})
    {%- endset %}
{{ and_keeps(kept_sql) }}
{%- elif is_backfill() %}
where {{ in_scope('session_date') }}
{%- endif %}
