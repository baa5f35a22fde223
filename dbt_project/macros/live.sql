{# What a mart's SQL says differently when it is compiled for a live view. A live view is the SQL
   text of its mart over the events up to now, limited to the windows that an event
   came for since the last build. See docs/concepts/live.md. #}

{# True while the text of a live view is put together, in the hook at the end of a run. #}
{% macro is_live() %}
    {{ return(execute and model.resource_type == 'operation') }}
{% endmacro %}

{# True while that of a mart is put together as a session that holds the tail asks it: over tables that
   have the events of the wanted windows and no others. A hook's model is a dictionary that all macros
   share; nothing else reaches the macros of a model that a hook renders. #}
{% macro is_held() %}
    {{ return(is_live() and model.get('is_held', false)) }}
{% endmacro %}

{# True when a mart works out the windows in `touched` and no others: in a live view those that an event
   came for since the last build, in an increment those that events came or went of. #}
{% macro is_partial() %}
    {{ return((is_live() and not is_held()) or is_incremental()) }}
{% endmacro %}

{# What a live mart reads in place of a silver table: the events up to now. Of those that gold was
   built from only the days that something came for, since days and tenants are what files of silver can
   be skipped by. lake/live.py says what the two views are, and how they are read once. #}
{% macro events_up_to_now(contract, built) -%}
    (
        select * from live.{{ built }}_{{ contract }}
        where event_date in (select event_date from touched)
            and tenant_id in (select tenant_id from touched)
        union all by name
        select * from live.new_{{ contract }}
    )
{%- endmacro %}

{# A mart up to now, by the SQL of the mart over events_up_to_now: gold, but for the windows that
   something came for (`touched`, see touched_windows). Filters on a tenant, a day or a window reach all
   parts of it, so that a dashboard pays for what it asks: nothing but the windows' names is worked
   out twice. #}
{% macro mart_up_to_now(name, sql) -%}
select * from gold.{{ name }}
anti join touched using (tenant_id, window_start)
union all by name
select * from ({{ sql }})
{%- endmacro %}

{# The windows of so many minutes that something came for. #}
{% macro touched_windows(contracts, minutes) -%}
    {%- for contract in contracts %}
    select tenant_id, event_date, {{ window_start(minutes, 'minute') }} as window_start
    from live.minutes_{{ contract }}
    {%- if not loop.last %}
    union
    {%- endif -%}
    {%- endfor %}
{%- endmacro %}

{# The minutes that rows of bronze fall in which came since the last build: a few of them may turn
   out to be of no event, and then their windows are worked out anew to what they were. #}
{% macro touched_minutes(contract) -%}
select distinct
    tenant_id,
    event_date,
    {{ window_start(1) }} as minute
from (
    select
        tenant_id,
        {{ event_clocks() }}
    from live.tail_{{ contract }}
    where tenant_id is not null and occurred_at is not null
)
{%- endmacro %}

{# In a mart that is worked out in part: the rows of what is in `touched`. #}
{% macro in_windows() -%}
    {%- if not is_partial() -%}{{ return('true') }}{%- endif -%}
    ({{ touched_key() }}) in (select {{ touched_key() }} from touched)
{%- endmacro %}

{# What a mart works out by itself: in a live view a window, in an increment one site of a window, since
   events that are hours late are few, and fall into most windows of a day but into few of these. #}
{% macro touched_key() -%}
    tenant_id, window_start{{ ', site_id' if is_incremental() }}
{%- endmacro %}

{# How the SQL of a step is read: by its name, or in a live view in its own place. DuckDB works out a
   named step that two others read once and for all, whatever a query filters by; a step in its own
   place is worked out twice, but only as far as the query asks. #}
{% macro step(name, sql) -%}
    {{ return('(' ~ sql ~ ')' if is_live() else name) }}
{%- endmacro %}

{# In a mart that is worked out in part: the events of visits that a step of it has to do with. A join
   and not a filter, since what a query asks for one side of it is asked of the other too. #}
{% macro of_visits_in(step) -%}
    {%- if is_partial() -%}
    inner join (select distinct tenant_id, event_date, session_id from {{ step }}) as visits
        using (tenant_id, event_date, session_id)
    {%- endif -%}
{%- endmacro %}
