{{
    config(
        incremental_strategy='replace_buckets',
        partition_by=['tenant_id', 'conversation_date'],
        meta={'reads': 'rows'},
    )
}}

{#- An increment makes the conversations anew that got an event, from the days between their first
    and their last one. A late event may move a conversation to an earlier day. -#}
{%- set changed_sql %}
    with new_events as (
        select
            tenant_id,
            conversation_id,
            min(event_date) as first_date,
            max(event_date) as last_date
        from {{ new_rows(ref('stg_app_events')) }}
        where conversation_id is not null and not is_date_clamped
        group by tenant_id, conversation_id
    )

    select
        new_events.tenant_id,
        new_events.conversation_id,
        built.conversation_date as built_date,
        least(new_events.first_date, built.conversation_date) as first_date,
        greatest(new_events.last_date, cast(built.ended_at as date)) as last_date
    from new_events
    left join {{ this }} as built
        on new_events.tenant_id = built.tenant_id
        and new_events.conversation_id = built.conversation_id
{%- endset %}

{%- if is_incremental() %}
    {%- set changed = stage_rows('changed', changed_sql) %}
    {%- set touched_sql %}
        select tenant_id, first_date as conversation_date from {{ changed }}
        union
        select tenant_id, built_date from {{ changed }}
        where built_date is not null
    {%- endset %}
    {%- do replaces_buckets(touched_sql) %}
    {%- set spanned_sql %}
        select distinct
            tenant_id,
            cast(unnest(generate_series(first_date, last_date, interval 1 day)) as date)
        from {{ changed }}
    {%- endset %}
{%- endif %}

with candidates as (
    select * from {{ ref('stg_app_events') }}
    where
        conversation_id is not null
        and not is_date_clamped
    {% if is_incremental() %}
        and {{ in_buckets_of(spanned_sql, 'event_date') }}
    {% elif is_backfill() %}
        and (tenant_id, conversation_id) in (
            select tenant_id, conversation_id
            from {{ ref('stg_app_events') }}
            where {{ in_scope('event_date') }}
        )
    {% endif %}
),

events as (
    select
        *,
        event_type in {{ types_of('message_types') }} as is_message,
        event_type in {{ types_of('reply_types') }} as is_reply
    from candidates
    {% if is_incremental() %}
    semi join {{ changed }} using (tenant_id, conversation_id)
    {% endif %}
),

conversations as (
    select
        tenant_id,
        conversation_id,
        min(occurred_at) as started_at,
        max(occurred_at) as ended_at,
        arg_min(channel, (occurred_at, event_id)) as channel,
        count(*) as event_count,
        count(*) filter (where is_message) as message_count,
        count(*) filter (where is_reply) as reply_count,
        count(*) filter (
            where is_message and json_extract_string(properties, '$.bot') = 'true'
        ) as bot_message_count,
        count(distinct user_id) as participant_count,
        count(distinct session_id) as session_count,
        min(occurred_at) filter (where is_message) as first_message_at,
        min(occurred_at) filter (where is_reply) as first_reply_at,
        bool_or(event_type in {{ types_of('handover_types') }}) as is_handed_over
    from events
    group by tenant_id, conversation_id
),

final as (
    select
        tenant_id,
        conversation_id,
        {{ utc_date('started_at') }} as conversation_date,
        started_at,
        ended_at,
        {{ seconds_after('ended_at', 'started_at') }} as duration_seconds,
        channel,
        event_count,
        message_count,
        reply_count,
        bot_message_count,
        participant_count,
        session_count,
        case
            when first_reply_at >= first_message_at
                then {{ seconds_after('first_reply_at', 'first_message_at') }}
        end as first_reply_seconds,
        is_handed_over
    from conversations
)

select * from final
{%- if is_incremental() %}
union all by name
select *
from {{ this }}
where
    {{ in_buckets_of(touched_sql, 'conversation_date') }}
    and (tenant_id, conversation_id) not in (select tenant_id, conversation_id from {{ changed }})
{%- elif is_backfill() %}
where {{ in_scope('conversation_date') }}
{%- endif %}
