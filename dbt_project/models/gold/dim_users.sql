{{
    config(
        incremental_strategy='replace_buckets',
        partition_by=['tenant_id', 'first_seen_date'],
        meta={'reads': 'changes'},
    )
}}

{#- A user is touched by a change of the person, by an identifier that came or went, and by anything
    that an identifier does. Only of those who are touched is the activity added up anew; all
    others of their buckets keep what the table has. -#}

{%- set persons = ref('int_persons') %}
{%- set identity = ref('int_identity') %}
{%- set days = ref('int_identity_days') %}
{%- set touched = '(select tenant_id, person_id from persons)' %}

{%- if is_incremental() %}
    {%- set changed_persons = changed_rows(
        persons, ['*'], ['tenant_id', 'person_type', 'person_id']
    ) %}
    {%- set changed_persons = stage_rows('persons', changed_persons) %}
    {%- set identifier = ['tenant_id', 'identifier_type', 'identifier'] %}
    {%- set touched_sql %}
        select tenant_id, person_id as user_id
        from {{ changed_persons }}
        where is_known
        union
        select tenant_id, user_id
        from ({{ changed_rows(identity, ['tenant_id', 'user_id'] + identifier[1:], identifier) }})
        where user_id is not null
        union
        select tenant_id, user_id
        from {{ identity }}
        where
            user_id is not null
            and (tenant_id, identifier_type, identifier) in (
                select tenant_id, identifier_type, identifier
                from ({{ changed_rows(days, ['*'], ['activity_date'] + identifier) }})
            )
    {%- endset %}
    {%- set touched = stage_rows('touched', touched_sql) %}
    {%- set buckets_sql %}
        select distinct tenant_id, first_seen_date
        from {{ persons }}
        where is_known and (tenant_id, person_id) in (select tenant_id, user_id from {{ touched }})
        union
        select tenant_id, first_seen_date from {{ changed_persons }} where is_known
    {%- endset %}
    {%- do replaces_buckets(buckets_sql) %}
{%- endif %}

with persons as (
    select * from {{ persons }}
    where
        is_known
        and {{ in_buckets_of(buckets_sql, 'first_seen_date') if is_incremental()
            else in_scope('first_seen_date') }}
),

owned as (
    select
        tenant_id,
        identifier_type,
        identifier,
        user_id
    from {{ identity }}
    where (tenant_id, user_id) in (select * from {{ touched }})
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
    group by owned.tenant_id, owned.user_id
),

totals as (
    select * from counted
    inner join active using (tenant_id, user_id)
    {%- if is_incremental() %}
    union all by name
    select tenant_id, user_id, visit_count, device_count, last_seen_at, event_count
    from {{ this }}
    where
        {{ in_buckets_of(buckets_sql, 'first_seen_date') }}
        and (tenant_id, user_id) not in (select tenant_id, user_id from {{ touched }})
    {%- endif %}
),

final as (
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
    inner join totals
        on persons.tenant_id = totals.tenant_id
        and persons.person_id = totals.user_id
)

select * from final
