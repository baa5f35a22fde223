{{
    config(
        incremental_strategy='replace_buckets',
        partition_by=['tenant_id', 'first_seen_date'],
        meta={'reads': 'changes'},
    )
}}

{#- What a user did is added up over identifiers and days. An increment adds what came of both and
    takes off what went, and reads no other day; only of users who are new to the table, or lost
    what they were last seen by, the days are added up anew. Of all others, and of those in the same
    buckets, the table itself says what they have. -#}

{%- set persons = ref('int_persons') %}
{%- set identity = ref('int_identity') %}
{%- set days = ref('int_identity_days') %}
{%- set identifier = ['tenant_id', 'identifier_type', 'identifier'] %}
{%- set by_identifier = identifier | join(', ') %}
{%- set users = 'select tenant_id, person_id from persons' %}

{%- if is_incremental() %}
    {%- set always = "date '0001-01-01'" %}
    {#- No day of an identifier lies before the one that the identifier is filed under, once all
        upstreams have read the same; until then every day is looked at. -#}
    {%- set settled = is_settled() and not delta_plan().follows_backfill %}
    {%- set person = ['tenant_id', 'person_type', 'person_id'] %}
    {%- set persons_came_sql %}
        select * from ({{ came_rows(persons, ['*'], person) }})
        where is_known
    {%- endset %}
    {%- set persons_came = stage_rows('persons_came', persons_came_sql) %}
    {%- set persons_gone_sql %}
        select
            tenant_id,
            person_id as user_id
        from ({{ gone_rows(persons, ['*'], person) }})
        where is_known
    {%- endset %}
    {%- set persons_gone = stage_rows('persons_gone', persons_gone_sql) %}
    {#- Identifiers that are new, or somebody else's than before. -#}
    {%- set owned = identifier + ['user_id', 'first_seen_date'] %}
    {%- set moved_sql %}
        select
            {{ by_identifier }},
            came.user_id,
            gone.user_id as old_user_id,
            least(came.first_seen_date, gone.first_seen_date) as first_seen_date
        from ({{ came_rows(identity, owned, identifier) }}) as came
        full join ({{ gone_rows(identity, owned, identifier) }}) as gone using ({{ by_identifier }})
    {%- endset %}
    {%- set moved = stage_rows('moved', moved_sql) %}
    {%- set day = ['activity_date'] + identifier %}
    {%- set changed_days_sql %}
        select
            *,
            1 as sign
        from ({{ came_rows(days, ['*'], day) }})
        union all
        select
            *,
            -1 as sign
        from ({{ gone_rows(days, ['*'], day) }})
    {%- endset %}
    {%- set changed_days = stage_rows('changed_days', changed_days_sql) %}
    {#- A user's own name is the user's, so only visits and devices are looked up. -#}
    {%- set others_sql %}
        select {{ by_identifier }} from {{ changed_days }}
        where identifier_type != 'user'
        except
        select {{ by_identifier }} from {{ moved }}
    {%- endset %}
    {%- set others = stage_rows('others', others_sql) %}
    {%- set owners_sql %}
        select
            {{ by_identifier }},
            user_id
        from {{ rows_near(identity, ['identifier_type', 'identifier'], others) }}
        where
            user_id is not null
            and ({{ by_identifier }}) in (from {{ others }})
        union all
        (
            select
                {{ by_identifier }},
                identifier as user_id
            from {{ changed_days }}
            where identifier_type = 'user'
            except
            select
                {{ by_identifier }},
                identifier as user_id
            from {{ moved }}
        )
    {%- endset %}
    {%- set owners = stage_rows('owners', owners_sql) %}
    {%- set moved_since = first_day_of('select min(first_seen_date) from ' ~ moved) %}
    {%- set moved_since = moved_since if settled else always %}
    {%- set changes_sql %}
        with days_of_moved as (
            select
                moved.*,
                activity.last_seen_at,
                activity.event_count
            from {{ days }} as activity
            inner join {{ moved }} as moved using ({{ by_identifier }})
            where
                activity.activity_date >= {{ moved_since }}
        ),

        changes as (
            select
                tenant_id,
                user_id,
                1 as sign,
                identifier_type,
                cast(null as timestamptz) as last_seen_at,
                0 as event_count
            from {{ moved }}
            union all by name
            select
                tenant_id,
                old_user_id as user_id,
                -1 as sign,
                identifier_type
            from {{ moved }}
            union all by name
            select
                tenant_id,
                user_id,
                1 as sign,
                last_seen_at,
                event_count
            from days_of_moved
            union all by name
            select
                tenant_id,
                old_user_id as user_id,
                -1 as sign,
                last_seen_at,
                event_count
            from days_of_moved
            union all by name
            -- What its days had for the owner before is what they have now, without what came and
            -- with what went.
            select
                moved.tenant_id,
                moved.old_user_id as user_id,
                changed.sign,
                case when changed.sign < 0 then changed.last_seen_at end as last_seen_at,
                changed.event_count
            from {{ changed_days }} as changed
            inner join {{ moved }} as moved using ({{ by_identifier }})
            union all by name
            select
                owners.tenant_id,
                owners.user_id,
                changed.sign,
                changed.last_seen_at,
                changed.event_count
            from {{ changed_days }} as changed
            inner join {{ owners }} as owners using ({{ by_identifier }})
        )

        select
            tenant_id,
            user_id,
            cast(
                coalesce(sum(sign) filter (where identifier_type = 'visit'), 0) as bigint
            ) as visit_count,
            cast(
                coalesce(sum(sign) filter (where identifier_type = 'device'), 0) as bigint
            ) as device_count,
            max(last_seen_at) filter (where sign > 0) as gained_at,
            max(last_seen_at) filter (where sign < 0) as lost_at,
            cast(sum(sign * event_count) as bigint) as event_count
        from changes
        where user_id is not null
        group by tenant_id, user_id
    {%- endset %}
    {%- set changes = stage_rows('changes', changes_sql) %}
    {%- set there_sql %}
        select
            tenant_id,
            user_id,
            first_seen_date,
            last_seen_at,
            visit_count,
            device_count,
            event_count
        from {{ this }}
        where (tenant_id, user_id) in (
            select tenant_id, user_id from {{ changes }}
            union
            select tenant_id, person_id from {{ persons_came }}
            union
            select tenant_id, user_id from {{ persons_gone }}
        )
    {%- endset %}
    {%- set there = stage_rows('there', there_sql) %}
    {%- set lost_the_last %}
        changes.lost_at >= there.last_seen_at
        and coalesce(changes.gained_at, '-infinity') < there.last_seen_at
    {%- endset %}
    {%- set anew_sql %}
        select
            tenant_id,
            person_id as user_id,
            first_seen_date
        from {{ persons_came }}
        where (tenant_id, person_id) not in (select tenant_id, user_id from {{ there }})
        union all
        select
            there.tenant_id,
            there.user_id,
            there.first_seen_date
        from {{ there }} as there
        left join {{ changes }} as changes using (tenant_id, user_id)
        where {{ 'true' if delta_plan().follows_backfill else lost_the_last }}
    {%- endset %}
    {%- set anew = stage_rows('anew', anew_sql) %}
    {%- set anew_since = first_day_of('select min(first_seen_date) from ' ~ anew) %}
    {%- set anew_since = anew_since if settled else always %}
    {%- set written_sql %}
        select tenant_id, first_seen_date from {{ there }}
        union
        select tenant_id, first_seen_date from {{ persons_came }}
    {%- endset %}
    {%- do replaces_buckets(written_sql) %}
    {%- set users = 'select tenant_id, user_id from ' ~ anew %}
    {%- set written = in_buckets_of(written_sql, 'first_seen_date') %}
{%- endif %}

{%- set totals_sql %}
    with owned as (
        select
            tenant_id,
            identifier_type,
            identifier,
            user_id
        from {{ identity }}
        where
            {{ 'first_seen_date >= ' ~ anew_since if is_incremental() else 'true' }}
            and (tenant_id, user_id) in ({{ users }})
    ),

    counted as (
        select
            tenant_id,
            user_id,
            count(*) filter (where identifier_type = 'visit') as visit_count,
            count(*) filter (where identifier_type = 'device') as device_count
        from owned
        group by tenant_id, user_id
    ),

    active as (
        select
            owned.tenant_id,
            owned.user_id,
            max(activity.last_seen_at) as last_seen_at,
            cast(sum(activity.event_count) as bigint) as event_count
        from {{ days }} as activity
        inner join owned using (tenant_id, identifier_type, identifier)
{%- if is_incremental() %}
        where activity.activity_date >= {{ anew_since }}
{%- endif %}
        group by owned.tenant_id, owned.user_id
    )

    select * from counted
    inner join active using (tenant_id, user_id)
{%- if is_incremental() %}
    union all by name
    select
        there.tenant_id,
        there.user_id,
        there.visit_count + coalesce(changes.visit_count, 0) as visit_count,
        there.device_count + coalesce(changes.device_count, 0) as device_count,
        greatest(there.last_seen_at, changes.gained_at) as last_seen_at,
        there.event_count + coalesce(changes.event_count, 0) as event_count
    from {{ there }} as there
    left join {{ changes }} as changes using (tenant_id, user_id)
    where (tenant_id, user_id) not in (select tenant_id, user_id from {{ anew }})
{%- endif %}
{%- endset %}
{%- set totals = stage_rows('totals', totals_sql) if is_incremental() else '(' ~ totals_sql ~ ')' %}

with persons as (
    select * from {{ persons_came if is_incremental() else persons }}
    where is_known and {{ 'true' if is_incremental() else in_scope('first_seen_date') }}
),

made as (
    select
        persons.tenant_id,
        persons.person_id as user_id,
        persons.first_seen_date,
        persons.first_seen_at,
        persons.identified_at,
        totals.last_seen_at,
        persons.first_page_at,
        persons.first_site_id,
        persons.first_country,
        persons.first_device_type,
        persons.first_channel,
        persons.first_utm_source,
        persons.first_utm_medium,
        persons.first_utm_campaign,
        persons.signed_up_at,
        persons.wallet_connected_at,
        persons.purchased_at,
        persons.signed_up_at is not null as is_registered,
        persons.purchase_count > 0 as is_payer,
        totals.visit_count,
        totals.device_count,
        totals.event_count,
        persons.purchase_count,
        persons.revenue_usd
    from persons
    inner join {{ totals }} as totals
        on persons.tenant_id = totals.tenant_id
        and persons.person_id = totals.user_id
)

select * from made
{%- if is_incremental() %}
    {%- set kept_sql %}
        select
            users.* replace (
                coalesce(totals.last_seen_at, users.last_seen_at) as last_seen_at,
                coalesce(totals.visit_count, users.visit_count) as visit_count,
                coalesce(totals.device_count, users.device_count) as device_count,
                coalesce(totals.event_count, users.event_count) as event_count
            )
        from {{ this }} as users
        left join {{ totals }} as totals using (tenant_id, user_id)
        where
            {{ written }}
            and (tenant_id, user_id) not in (
                select tenant_id, person_id from {{ persons_came }}
                union all
                select tenant_id, user_id from {{ persons_gone }}
            )
    {%- endset %}
{{ and_keeps(kept_sql) }}
{%- endif %}
