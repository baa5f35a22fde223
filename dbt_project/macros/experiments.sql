{# Deterministic assignment, equal to ingest/experiments.py for every user to the last bit. #}

{# The number from 0 to 2^52 - 1 that stands for a user in an experiment: the first 13 hexadecimal
   digits of md5(experiment:user) over UTF-8. #}
{% macro assignment_draw(experiment_id, user_id) -%}
    cast('0x' || substr(md5({{ experiment_id }} || ':' || {{ user_id }}), 1, 13) as bigint)
{%- endmacro %}

{# The variant that a user gets, for weights such as {'control': 1, 'checklist': 1}. #}
{% macro assigned_variant(experiment_id, user_id, weights) -%}
    {%- set span = namespace(end=0) -%}
    case
        {%- for variant, weight in weights.items() | sort %}
        {%- set span.end = span.end + weight %}
        when {{ assignment_draw(experiment_id, user_id) }} % {{ weights.values() | sum }} < {{ span.end }}
            then {{ dbt.string_literal(dbt.escape_single_quotes(variant)) }}
        {%- endfor %}
    end
{%- endmacro %}
