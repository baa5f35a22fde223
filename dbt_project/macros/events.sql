{# Rules that every kind of event shares. #}

{# When the event reached lakeward: Kafka's timestamp, unless the producer set one that the
   writer's clock shows to be absurd. Bounds every date below. #}
{% macro arrived_at() -%}
    case
        when _appended_at between timestamptz '{{ var("earliest_event_date") }} 00:00:00+00'
            and _committed_at + interval {{ var('future_tolerance_minutes') }} minutes
            then _appended_at
        else _committed_at
    end
{%- endmacro %}

{# The clocks of an event: which day it is filed under, and whether its own clock is believed. #}
{% macro event_clocks() -%}
    {%- set arrived = arrived_at() -%}
    {%- set is_future -%}
        occurred_at > {{ arrived }} + interval {{ var('future_tolerance_minutes') }} minutes
    {%- endset -%}
    {%- set is_date_clamped -%}
        ({{ is_future }} or occurred_at < timestamptz '{{ var("earliest_event_date") }} 00:00:00+00')
    {%- endset -%}
    {%- set event_at -%}
        case when {{ is_date_clamped }} then {{ arrived }} else occurred_at end
    {%- endset -%}
    {{ event_at }} as event_at,
    cast({{ event_at }} as date) as event_date,
    {{ arrived }} - occurred_at > interval {{ var('late_after_hours') }} hours as is_late,
    {{ is_future }} as is_future,
    {{ is_date_clamped }} as is_date_clamped
{%- endmacro %}

{# Where each row came from, kept through silver so that every number leads back to its offset. #}
{% macro trace_columns() -%}
    _topic,
    _topic_id,
    _partition,
    _offset,
    _appended_at,
    _committed_at
{%- endmacro %}

{# The first of the rows that share a key, by when they were committed to bronze. #}
{% macro is_first_of(key) -%}
    row_number() over (
        partition by {{ key | join(', ') }}
        order by _committed_at, _topic, _partition, _offset, _topic_id
    ) = 1
{%- endmacro %}

{# In a backfill, rows that share a key with a row of the range: a key's first row may lie outside
   of the range, and then no row of it belongs inside. #}
{% macro may_be_in_range(key, relation) -%}
    {%- if not is_backfill() -%}{{ return('true') }}{%- endif -%}
    ({{ key | join(', ') }}) in (
        select {{ key | join(', ') }}
        from {{ relation }}
        where {{ in_scope('event_date') }}
    )
{%- endmacro %}

{# Why a bronze row is not a valid event, null when it is: what the contract's file says. The
   plugin reads the file, so that its values are written nowhere else. #}
{% macro rejection_reason(contract) -%}
    {%- set rules = [] -%}
    {%- for column in contract_columns(contract) -%}
        {%- set name = column.name -%}
        {%- if column.required -%}
            {%- do rules.append('when ' ~ name ~ " is null then 'missing:" ~ name ~ "'") -%}
        {%- endif -%}
        {%- if column.is_key -%}
            {%- do rules.append('when ' ~ name ~ " = '' then 'empty:" ~ name ~ "'") -%}
        {%- endif -%}
        {%- if column.required and column.allowed -%}
            {%- set values = [] -%}
            {%- for value in column.allowed -%}
                {%- do values.append(dbt.string_literal(dbt.escape_single_quotes(value))) -%}
            {%- endfor -%}
            {%- do rules.append(
                'when ' ~ name ~ ' not in (' ~ values | join(', ') ~ ") then 'not_allowed:" ~ name ~ "'"
            ) -%}
        {%- endif -%}
    {%- endfor -%}
    case {{ rules | join(' ') if rules else "when false then ''" }} end
{%- endmacro %}

{% macro contract_columns(contract) %}
    {%- if not execute -%}{{ return([]) }}{%- endif -%}
    {%- set bronze = api.Relation.create(schema='bronze', identifier=contract) -%}
    {{ return(delta_call('contract', {}, bronze).columns) }}
{% endmacro %}
