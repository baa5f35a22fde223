{{
    config(
        incremental_strategy='replace_buckets',
        partition_by=['tenant_id', 'activity_date'],
    )
}}

{#- A day's numbers rest on the 30 days up to it. So a changed day touches itself and the 29 days
    after it, up to the tenant's newest day with activity; when that newest day moves, the days
    without activity before it come or go too. -#}
{%- set days_back = 29 %}
{%- if is_incremental() %}
    {%- set touched_sql %}
        with changed as (
            select * from {{ changed_buckets() }}
        ),

        tenants as (
            select distinct tenant_id from changed
        ),

        ends as (
            select
                tenant_id,
                max(newest_date) as newest_date,
                least(max(newest_date), max(built_date)) as earlier_date,
                greatest(max(newest_date), max(built_date)) as later_date
            from (
                select tenant_id, activity_date as newest_date, null as built_date
                from {{ ref('int_user_days') }}
                union all
                select tenant_id, null as newest_date, activity_date as built_date
                from {{ this }}
            )
            where tenant_id in (from tenants)
            group by tenant_id
        ),

        reached as (
            select changed.tenant_id, changed.bucket_date + cast(days.number as integer) as activity_date
            from changed, range({{ days_back + 1 }}) as days (number)
            union
            select ends.tenant_id, ends.earlier_date + cast(days.number as integer) as activity_date
            from ends, range(1, {{ days_back + 1 }}) as days (number)
        )

        select reached.tenant_id, cast(reached.activity_date as date) as activity_date, newest_date
        from reached
        inner join ends using (tenant_id)
        where reached.activity_date <= ends.later_date
    {%- endset %}
    {%- set touched = stage_rows('touched', touched_sql) %}
    {%- do replaces_buckets('select tenant_id, activity_date from ' ~ touched) %}
    {%- set read_sql %}
        select distinct touched.tenant_id, cast(touched.activity_date - cast(days.number as integer) as date)
        from {{ touched }} as touched, range({{ days_back + 1 }}) as days (number)
    {%- endset %}
{%- endif %}

with user_days as (
    select
        tenant_id,
        activity_date,
        user_id
    from {{ ref('int_user_days') }}
    {%- if is_incremental() %}
    where {{ in_buckets_of(read_sql, 'activity_date') }}
    {%- endif %}
),

spine as (
    {%- if is_incremental() %}
    select tenant_id, activity_date
    from {{ touched }}
    where activity_date <= newest_date
    {%- else %}
    select
        tenant_id,
        cast(
            unnest(generate_series(min(activity_date), max(activity_date), interval 1 day))
            as date
        ) as activity_date
    from user_days
    group by tenant_id
    {%- endif %}
),

-- A user counts from a day of activity until the next one or until the window has passed,
-- whichever is first: so each user counts once in any window, and no window is looked at twice.
stays as (
    select
        tenant_id,
        activity_date,
        lead(activity_date) over (
            partition by tenant_id, user_id
            order by activity_date
        ) as next_date
    from user_days
),

steps as (
    select
        tenant_id,
        activity_date,
        1 as daily,
        1 as weekly,
        1 as monthly
    from stays
    union all
    select
        tenant_id,
        activity_date + 1 as activity_date,
        -1 as daily,
        0 as weekly,
        0 as monthly
    from stays
    union all
    select
        tenant_id,
        least(next_date, activity_date + 7) as activity_date,
        0 as daily,
        -1 as weekly,
        0 as monthly
    from stays
    union all
    select
        tenant_id,
        least(next_date, activity_date + {{ days_back + 1 }}) as activity_date,
        0 as daily,
        0 as weekly,
        -1 as monthly
    from stays
    union all
    select
        tenant_id,
        activity_date,
        0 as daily,
        0 as weekly,
        0 as monthly
    from spine
),

by_day as (
    select
        tenant_id,
        activity_date,
        sum(daily) as daily,
        sum(weekly) as weekly,
        sum(monthly) as monthly
    from steps
    group by tenant_id, activity_date
),

running as (
    select
        tenant_id,
        activity_date,
        cast(sum(daily) over day_by_day as bigint) as daily_user_count,
        cast(sum(weekly) over day_by_day as bigint) as weekly_user_count,
        cast(sum(monthly) over day_by_day as bigint) as monthly_user_count
    from by_day
    window
        day_by_day as (
            partition by tenant_id
            order by activity_date
        )
),

final as (
    select
        tenant_id,
        activity_date,
        daily_user_count,
        weekly_user_count,
        monthly_user_count,
        daily_user_count / monthly_user_count as stickiness_share
    from running
    semi join spine using (tenant_id, activity_date)
    where monthly_user_count > 0 and {{ in_scope('activity_date') if is_backfill() else 'true' }}
)

select * from final
