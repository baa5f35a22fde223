{# What a mart's SQL says differently when it is compiled for a live view. A live view is the SQL
   text of its mart over the events up to now, limited to the windows that an event
   came for since the last build. See docs/concepts/live.md. #}

{# True while the text of a live view is put together, in the hook at the end of a run. #}
{% macro is_live() %}
    {{ return(execute and model.resource_type == 'operation') }}
{% endmacro %}

{# The first steps of a live mart: the events since the last build, once; the events up to now that
   the mart's own text then reads in place of its upstreams; and the windows (tenant, beginning)
   that new events fall in. #}
{% macro live_steps(relations, minutes) -%}
    {%- if is_live() -%}
    {%- for relation in relations %}
    {%- set contract = relation.identifier | replace('stg_', '') %}
new_{{ contract }} as materialized (
    select * from live.new_{{ contract }}
),

now_{{ contract }} as not materialized (
    select * from live.built_{{ contract }}
    union all by name
    select * from new_{{ contract }}
),
    {% endfor %}
touched as (
    {%- for relation in relations %}
    select tenant_id, event_date, {{ window_start(minutes) }} as window_start
    from new_{{ relation.identifier | replace('stg_', '') }}
    {%- if not loop.last %}
    union
    {%- endif %}
    {%- endfor %}
),
    {%- endif -%}
{%- endmacro %}

{# In a live view: the days that something came for, which is what files can be skipped by. #}
{% macro in_touched_days() -%}
    {%- if not is_live() -%}{{ return('true') }}{%- endif -%}
    event_date in (select event_date from touched) and tenant_id in (select tenant_id from touched)
{%- endmacro %}

{# In a live view: the rows of windows that something came for. #}
{% macro in_windows() -%}
    {%- if not is_live() -%}{{ return('true') }}{%- endif -%}
    (tenant_id, window_start) in (select tenant_id, window_start from touched)
{%- endmacro %}

{# In a live view: the events of visits that a step of it has to do with. #}
{% macro of_visits_in(step) -%}
    {%- if not is_live() -%}{{ return('true') }}{%- endif -%}
    (tenant_id, event_date, session_id) in (
        select tenant_id, event_date, session_id from {{ step }}
    )
{%- endmacro %}
