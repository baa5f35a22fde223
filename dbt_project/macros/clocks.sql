{# Times in whole microseconds since 1970. What DuckDB does itself with times that have a zone asks the
   calendar of the session's zone, value by value: a difference takes a hundred times as long, a date
   fifteen times. Every session of lakeward is in UTC, where both give the same. #}

{# A time as one without a zone, which is in UTC. #}
{% macro utc(at) -%}
    make_timestamp(epoch_us({{ at }}))
{%- endmacro %}

{# The day, in UTC, of a time. #}
{% macro utc_date(at) -%}
    cast({{ utc(at) }} as date)
{%- endmacro %}

{# How many microseconds after another a time is; negative when it is before. #}
{% macro microseconds_after(at, other) -%}
    (epoch_us({{ at }}) - epoch_us({{ other }}))
{%- endmacro %}

{# How many seconds after another a time is, with fractions. #}
{% macro seconds_after(at, other) -%}
    {{ microseconds_after(at, other) }} / 1000000
{%- endmacro %}

{# So many days of 24 hours in microseconds. #}
{% macro days(count) -%}
    {{ count }} * 86400000000
{%- endmacro %}
