{# Rules that every kind of event shares. #}

{# The clocks of an event: which day it is filed under, and whether its own clock is believed.

   arrived_at is when the event reached lakeward: Kafka's timestamp, unless the producer set one
   that the writer's clock shows to be absurd. It bounds every date of silver and gold, so that a
   client's clock cannot make partitions at will. #}
{% macro event_clocks() -%}
    {%- set earliest = "timestamptz '" ~ var('earliest_event_date') ~ " 00:00:00+00'" -%}
    {%- set tolerance = var('future_tolerance_minutes') * 60000000 -%}
    case
            when
                _appended_at >= {{ earliest }}
                and {{ microseconds_after('_appended_at', '_committed_at') }} <= {{ tolerance }}
                then _appended_at
            else _committed_at
        end as arrived_at,
        {{ microseconds_after('occurred_at', 'arrived_at') }} > {{ tolerance }} as is_future,
        is_future or occurred_at < {{ earliest }} as is_date_clamped,
        case when is_date_clamped then arrived_at else occurred_at end as event_at,
        {{ utc_date('event_at') }} as event_date,
        {{ microseconds_after('arrived_at', 'occurred_at') }} > {{ var('late_after_hours') * 3600000000 }}
            as is_late
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

{# Of rows that share a key the first, by when they were committed to bronze. `rows` is SQL, read in its
   place, as a named step would keep all its columns of everything. Sorting is what costs, and few rows
   share a key: those with the hash of another's key are sorted, all others pass as they come. A live view
   has few rows, and groups them. #}
{% macro first_of_each(rows, key) -%}
    {%- set order = '_committed_at, _topic, _partition, _offset, _topic_id' -%}
    {%- if is_live() -%}
    select * from ({{ rows }})
    qualify row_number() over (partition by {{ key | join(', ') }} order by ({{ order }})) = 1
    {%- else -%}
    {%- set hashed -%}
        (
            select *, hash({{ key | join(', ') }}) as key_hash from ({{ rows }})
            where {{ may_be_in_range(key, rows) }}
        )
    {%- endset -%}
    with shared as materialized (
        select key_hash from {{ hashed }} group by key_hash having count(*) > 1
    ),

    firsts as materialized (
        select * from {{ hashed }} semi join shared using (key_hash)
        qualify row_number() over (partition by {{ key | join(', ') }} order by {{ order }}) = 1
    )

    select * from {{ hashed }} anti join shared using (key_hash)
    union all
    select * from firsts
    {%- endif -%}
{%- endmacro %}

{# In a backfill, rows that share a key with a row of the range: a key's first row may lie outside
   of the range, and then no row of it belongs inside. #}
{% macro may_be_in_range(key, rows) -%}
    {%- if not is_backfill() -%}{{ return('true') }}{%- endif -%}
    ({{ key | join(', ') }}) in (
        select {{ key | join(', ') }}
        from ({{ rows }})
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
