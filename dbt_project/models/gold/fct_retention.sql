{{
    config(
        incremental_strategy='replace_buckets',
        partition_by=['tenant_id', 'activity_date'],
        meta={'reads': 'changes'},
    )
}}

{#- A changed user day touches its day and the Monday of its week. A user whose cohort changed
    touches all of the user's days, which do not begin before the cohort does. -#}

{%- set persons = ref('int_persons') %}
{%- set user_days = ref('int_active_days') %}

{%- if is_incremental() %}
    {%- set moved_sql %}
        select tenant_id, person_id as user_id, min(cast(identified_at as date)) as cohort_date
        from (
            {{ changed_rows(
                persons,
                ['tenant_id', 'person_id', 'is_known', 'identified_at'],
                ['tenant_id', 'person_type', 'person_id'],
            ) }}
        )
        where is_known
        group by all
    {%- endset %}
    {%- set moved = stage_rows('moved', moved_sql) %}
    {%- set days_sql %}
        select tenant_id, activity_date
        from (
            {{ changed_rows(
                user_days,
                ['tenant_id', 'activity_date', 'user_id'],
                ['tenant_id', 'activity_date', 'user_id'],
            ) }}
        )
        union
        select tenant_id, activity_date from {{ user_days }}
        where
            (tenant_id, user_id) in (select tenant_id, user_id from {{ moved }})
            and activity_date >= {{ first_day_of('select min(cohort_date) from ' ~ moved) }}
    {%- endset %}
    {%- set days = stage_rows('days', days_sql) %}
    {%- set touched_sql %}
        select tenant_id, activity_date from {{ days }}
        union
        select tenant_id, cast(date_trunc('week', activity_date) as date) from {{ days }}
    {%- endset %}
    {%- do replaces_buckets(touched_sql) %}
    {%- set read_sql %}
        select tenant_id, activity_date from ({{ touched_sql }})
        union
        select tenant_id, activity_date + unnest(range(7))::integer
        from ({{ touched_sql }})
        where isodow(activity_date) = 1
    {%- endset %}
{%- endif %}

with user_days as (
    select
        tenant_id,
        user_id,
        activity_date
    from {{ user_days }}
    where
    {%- if is_incremental() %}
        {{ in_buckets_of(read_sql, 'activity_date') }}
    {%- else %}
        {{ in_scope('activity_date', days_after=6) }}
    {%- endif %}
),

persons as (
    select * from {{ persons }}
    where
        is_known
        and (tenant_id, person_id) in (
            select
                tenant_id,
                user_id
            from user_days
        )
),

active as (
    select
        user_days.tenant_id,
        user_days.user_id,
        user_days.activity_date as active_date,
        cast(persons.identified_at as date) as known_date
    from user_days
    inner join persons
        on user_days.tenant_id = persons.tenant_id
        and user_days.user_id = persons.person_id
),

periods as (
    select
        tenant_id,
        user_id,
        'day' as period,
        active_date as activity_date,
        known_date as cohort_date
    from active
    union
    select
        tenant_id,
        user_id,
        'week' as period,
        cast(date_trunc('week', active_date) as date) as activity_date,
        cast(date_trunc('week', known_date) as date) as cohort_date
    from active
),

final as (
    select
        tenant_id,
        activity_date,
        period,
        cohort_date,
        (activity_date - cohort_date) // case when period = 'week' then 7 else 1 end
            as periods_since,
        count(*) as user_count
    from periods
    group by all
)

select * from final
where
{%- if is_incremental() %}
    {{ in_buckets_of(touched_sql, 'activity_date') }}
{%- else %}
    {{ in_scope('activity_date') }}
{%- endif %}
