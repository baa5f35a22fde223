{# What a mart's SQL says differently when it is compiled for a live view. A live view is the SQL
   text of its mart over live.stg_*, the events up to now, limited to the windows that an event
   came for since the last build. See docs/concepts/live.md. #}

{# True while the text of a live view is put together, in the hook at the end of a run. #}
{% macro is_live() %}
    {{ return(execute and model.resource_type == 'operation') }}
{% endmacro %}

{# The windows (tenant, beginning) that new events fall in: the first step of a live mart. #}
{% macro touched_windows(relations, minutes) -%}
    {%- if is_live() -%}
touched as (
    {%- for relation in relations %}
    select tenant_id, event_date, {{ window_start(minutes) }} as window_start
    from {{ relation | string | replace('stg_', 'new_') }}
    {%- if not loop.last %}
    union
    {%- endif %}
    {%- endfor %}
),
    {%- endif -%}
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
