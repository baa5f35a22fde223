{# How a model becomes a Delta table. DuckDB runs the SQL, the plugin writes the rows and the
   versions they were read at in one commit. #}

{% materialization incremental, adapter='duckdb', supported_languages=['sql'] %}
    {{ run_hooks(pre_hooks) }}
    {%- set plan = delta_plan() -%}
    {%- if plan.nothing -%}
        {%- set answer = delta_call('advance', {}) -%}
    {%- else -%}
        {%- set answer = delta_write(config.require('incremental_strategy')) -%}
    {%- endif -%}
    {{ delta_result(answer, plan.mode) }}
    {{ run_hooks(post_hooks) }}
    {{ return({'relations': [this.incorporate(type='view')]}) }}
{% endmaterialization %}

{# Selected anew in each build and written when a row differs: for what is small. #}
{% materialization table, adapter='duckdb', supported_languages=['sql'] %}
    {{ run_hooks(pre_hooks) }}
    {%- set plan = delta_plan() -%}
    {%- set answer = delta_write(none, only_if_changed=true) -%}
    {{ delta_result(answer, 'table') }}
    {{ run_hooks(post_hooks) }}
    {{ return({'relations': [this.incorporate(type='view')]}) }}
{% endmaterialization %}

{# A seed is written only when its file has changed, so that a build without news writes nothing. #}
{% materialization seed, adapter='duckdb' %}
    {{ run_hooks(pre_hooks) }}
    {#- dbt prints the seed from this; the rows are read by DuckDB below. -#}
    {%- do store_result('agate_table', response='OK', agate_table=load_agate_table()) -%}
    {%- set plan = delta_plan() -%}
    {%- set types = [] -%}
    {%- for column, type in (config.get('column_types') or {}).items() -%}
        {%- do types.append("'" ~ column ~ "': '" ~ type ~ "'") -%}
    {%- endfor -%}
    {%- set path = dbt.escape_single_quotes(adapter.get_seed_file_path(model)) -%}
    {%- set sql -%}
        from read_csv('{{ path }}', header = true, delim = '{{ config.get("delimiter", ",") }}', types = { {{ types | join(', ') }} })
    {%- endset -%}
    {%- set answer = delta_call('write', {
        'sql': sql, 'strategy': none, 'partition_by': [], 'only_if_changed': true, 'sliced_by': none,
    }) -%}
    {{ delta_result(answer, 'seed') }}
    {{ run_hooks(post_hooks) }}
    {{ return({'relations': [this.incorporate(type='view')]}) }}
{% endmaterialization %}

{% macro delta_write(strategy, only_if_changed=false) %}
    {%- set select = compiled_code -%}
    {%- if config.get('contract').enforced -%}
        {%- do get_assert_columns_equivalent(compiled_code) -%}
        {%- set select = get_select_subquery(compiled_code) -%}
    {%- endif -%}
    {%- set key = config.get('unique_key') or [] -%}
    {{ return(delta_call('write', {
        'sql': select,
        'strategy': strategy,
        'partition_by': config.get('partition_by') or [],
        'unique_key': [key] if key is string else key,
        'only_if_changed': only_if_changed,
        'looks_up_keys': not config.get('meta', {}).get('keys_come_once') or delta_plan().follows_backfill,
        'sliced_by': sliced_by(),
    })) }}
{% endmacro %}

{# Hands the result to dbt, whose log, run_results.json and Dagster show it. #}
{% macro delta_result(answer, mode) %}
    {%- call noop_statement('main', answer.message, mode | upper, answer.rows) -%}
        {{ compiled_code if model.resource_type == 'model' else '-- seed' }}
    {%- endcall -%}
{% endmacro %}
