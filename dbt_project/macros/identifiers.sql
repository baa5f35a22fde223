{# What events say of the visits, devices and users whose identifiers they carry. #}

{# A row for each event and identifier that it carries. event_count, purchase_count and revenue_usd
   are said of one of an event's identifiers only, so that they add up over all that are somebody's. #}
{% macro identifier_evidence(clickstream, registrations, conversions, app_events) %}
    select * from (
        select
            tenant_id,
            'visit' as identifier_type,
            session_id as identifier,
            user_id,
            event_date,
            event_at,
            is_date_clamped,
            event_id as event_key,
            true as is_page_event,
            site_id,
            country,
            device_type,
            channel,
            utm_source,
            utm_medium,
            utm_campaign,
            null as step,
            1 as event_count,
            0 as purchase_count,
            0::decimal(18, 2) as revenue_usd
        from {{ clickstream }}
        union all by name
        select
            tenant_id,
            'user' as identifier_type,
            user_id as identifier,
            user_id,
            event_date,
            event_at
        from {{ clickstream }}
        where user_id is not null
        union all by name
        select
            tenant_id,
            unnest(['user', 'visit']) as identifier_type,
            unnest([user_id, session_id]) as identifier,
            user_id,
            event_date,
            event_at,
            is_date_clamped,
            unnest(['signup', null]) as step
        from {{ registrations }}
        union all by name
        select
            tenant_id,
            unnest(['user', 'visit']) as identifier_type,
            unnest([user_id, session_id]) as identifier,
            user_id,
            event_date,
            event_at,
            is_date_clamped,
            unnest([
                case
                    when is_purchase then 'purchase'
                    when conversion_type = 'wallet_connect' then 'wallet_connect'
                end,
                null
            ]) as step,
            unnest([is_purchase::integer, 0]) as purchase_count,
            unnest([
                case when is_purchase then coalesce(amount_usd, 0) else 0 end, 0
            ])::decimal(18, 2) as revenue_usd
        from {{ conversions }}
        union all by name
        select
            tenant_id,
            unnest(['user', 'device', 'device']) as identifier_type,
            unnest([
                user_id,
                device_id,
                case
                    when event_type = 'alias' and user_id is not null
                        then json_extract_string(properties, '$.previousId')
                end
            ]) as identifier,
            user_id,
            event_date,
            event_at,
            unnest([(device_id is null)::integer, 1, 0]) as event_count
        from {{ app_events }}
    )
    where identifier != ''
{% endmacro %}

{# Whether what is new of somebody changes the row of firsts and sums that is there; it does when
   there is none. Somebody who comes back mostly changes nothing, and then the partition of the day
   when they were first seen, which may be any day, need not be written. #}
{% macro changes_firsts(new, known) -%}
    {%- for first in ['first_seen_at', 'linked_at', 'first_page_at'] %}
    {{ new }}.{{ first }} <= coalesce({{ known }}.{{ first }}, timestamptz 'infinity') or
    {%- endfor %}
    coalesce({{ new }}.signed_up_at, {{ new }}.wallet_connected_at, {{ new }}.purchased_at)
        is not null
    or {{ new }}.purchase_count > 0
{%- endmacro %}

{# What the first page that somebody saw says of them. #}
{% macro first_page_columns() %}
    {{ return([
        'site_id', 'country', 'device_type', 'channel', 'utm_source', 'utm_medium', 'utm_campaign',
    ]) }}
{% endmacro %}

{# The columns first_site_id, first_country and so on, of the rows that hold for a condition and the
   one of them that comes first by `place`. The prefix is empty where rows are pages, not firsts. #}
{% macro of_first_page(place, condition, prefix='first_') -%}
    {%- for column in first_page_columns() %}
        arg_min_null({{ prefix }}{{ column }}, {{ place }}) {{ condition }} as first_{{ column }}
        {{- ',' if not loop.last }}
    {%- endfor %}
{%- endmacro %}
