{# Rules that every kind of event shares. #}

{# The clocks of an event: which day it is filed under, and whether its own clock is believed.

   arrived_at is when the event reached lakeward: Kafka's timestamp, unless the producer set one
   that the writer's clock shows to be absurd. It bounds every date of silver and gold, so that a
   client's clock cannot make partitions at will. #}
{% macro event_clocks() -%}
    {%- set earliest = "timestamptz '" ~ var('earliest_event_date') ~ " 00:00:00+00'" -%}
    {%- set tolerance = "interval '" ~ var('future_tolerance_minutes') ~ " minutes'" -%}
    case
            when _appended_at between {{ earliest }} and _committed_at + {{ tolerance }}
                then _appended_at
            else _committed_at
        end as arrived_at,
        occurred_at > arrived_at + {{ tolerance }} as is_future,
        is_future or occurred_at < {{ earliest }} as is_date_clamped,
        case when is_date_clamped then arrived_at else occurred_at end as event_at,
        cast(event_at as date) as event_date,
        arrived_at - occurred_at > interval '{{ var("late_after_hours") }} hours' as is_late
{%- endmacro %}

{# The conversions that somebody pays for, by the variable of that name. #}
{% macro purchase_types() -%}
    {{ types_of("purchase_types") }}
{%- endmacro %}

{# The event types that a variable lists. #}
{% macro types_of(variable) -%}
    ('{{ var(variable) | join("', '") }}')
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

{# The first of the rows that share a key, by when they were committed to bronze. In a live view by one
   value and not by five: DuckDB then groups the rows and does not sort them, which is quicker, and
   holds them in memory, which a build of everything could not. #}
{% macro is_first_of(key) -%}
    {%- set order = '_committed_at, _topic, _partition, _offset, _topic_id' -%}
    row_number() over (
        partition by {{ key | join(', ') }}
        order by {{ '(' ~ order ~ ')' if is_live() else order }}
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
    case {{ rules | join('\n        ') if rules else "when false then ''" }} end
{%- endmacro %}

{% macro contract_columns(contract) %}
    {%- if not execute -%}{{ return([]) }}{%- endif -%}
    {%- set bronze = api.Relation.create(schema='bronze', identifier=contract) -%}
    {{ return(delta_call('contract', {}, bronze).columns) }}
{% endmacro %}
