{# What a model asks the lake before its SQL is put together. See docs/concepts/increments.md. #}

{# Calls a verb of lake/dbt_plugin.py, the plugin, and returns its answer. #}
{% macro delta_call(verb, request, relation=none) %}
    {%- set answer = {} -%}
    {%- do request.update({'answer': answer}) -%}
    {%- do adapter.store_relation('lakeward', relation or this, [], '', verb, request) -%}
    {{ return(answer) }}
{% endmacro %}

{# What this model does in this run: mode is full, increment or backfill. #}
{% macro delta_plan() %}
    {%- set upstreams = [] -%}
    {%- set whole = [] -%}
    {%- for id in model.depends_on.nodes -%}
        {%- set node = graph.nodes.get(id) or graph.sources.get(id) -%}
        {%- if node.resource_type == 'model' and node.config.materialized in ('view', 'ephemeral') -%}
            {%- do exceptions.raise_compiler_error(
                model.name ~ ' reads ' ~ node.name ~ ', a ' ~ node.config.materialized
                ~ ': only a table has versions to follow'
            ) -%}
        {%- endif -%}
        {%- do upstreams.append(label_of(id)) -%}
        {%- if node.resource_type == 'seed' -%}{%- do whole.append(label_of(id)) -%}{%- endif -%}
    {%- endfor -%}
    {%- set strategy = config.get('incremental_strategy') -%}
    {{ return(delta_call('plan', {
        'upstreams': upstreams,
        'whole': whole,
        'reads': 'rows' if strategy == 'insert_new' else (config.get('meta', {}).get('reads') or 'buckets'),
        'touches': config.get('meta', {}).get('touches') or {},
        'full_refresh': should_full_refresh(),
        'rebuild': config.get('materialized') != 'incremental',
    })) }}
{% endmacro %}

{# True while a model is compiled to be built; false while parsing and in unit tests. #}
{% macro has_plan() %}
    {{ return(execute and model.resource_type == 'model') }}
{% endmacro %}

{% macro is_incremental() %}
    {{ return(has_plan() and delta_plan().mode == 'increment') }}
{% endmacro %}

{% macro is_backfill() %}
    {{ return(has_plan() and delta_plan().mode == 'backfill') }}
{% endmacro %}

{# True when each upstream has read all that its own upstreams have, so that what one of them says
   holds in the others too. It is so in every build, but not when only some models are selected. #}
{% macro is_settled() %}
    {%- set read = {} -%}
    {%- for id in model.depends_on.nodes if id in graph.nodes -%}
        {%- set node = graph.nodes[id] -%}
        {%- set labels = [] -%}
        {%- for upstream in node.depends_on.nodes -%}
            {%- do labels.append(label_of(upstream)) -%}
        {%- endfor -%}
        {%- do read.update({label_of(id): labels}) -%}
    {%- endfor -%}
    {{ return(delta_call('settled', {'read': read}).settled) }}
{% endmacro %}

{# `<layer>.<table>` of a node of dbt's graph. #}
{% macro label_of(id) %}
    {%- set node = graph.nodes.get(id) or graph.sources.get(id) -%}
    {{ return(node.schema ~ '.' ~ (node.alias or node.identifier)) }}
{% endmacro %}

{# The rows of an upstream that this run has to look at: all, or those it got since the last run. #}
{% macro new_rows(relation) %}
    {%- if not has_plan() -%}{{ return(relation) }}{%- endif -%}
    {%- set label = relation.schema ~ '.' ~ relation.identifier -%}
    {%- if is_backfill() -%}{{ return(relation) }}{%- endif -%}
    {{ return(delta_plan().views.get(label) or relation) }}
{% endmacro %}

{# As new_rows; in a backfill the rows that the model has read, without those that the next build
   will: for a model that adds new rows to what it has. #}
{% macro new_or_read_rows(relation, key) %}
    {%- set label = relation.schema ~ '.' ~ relation.identifier -%}
    {%- if not is_backfill() or label not in delta_plan().views -%}
        {{ return(new_rows(relation)) }}
    {%- endif -%}
    {%- set key = 'tenant_id, ' ~ key -%}
    {{ return(
        '(select * from ' ~ relation ~ ' where (' ~ key ~ ') not in (select ' ~ key ~ ' from '
        ~ delta_plan().views[label] ~ '))'
    ) }}
{% endmacro %}

{# The rows of an upstream, these columns of them, that came or went since the last run: for an
   increment of a model with meta.reads 'changes'. Rows that were only written again, with others of
   their bucket or by compaction, cancel out; but not after a backfill, whose rows the model may have
   used meanwhile.

   Rows are compared under their key by a hash, since a bucket has many rows for each that changed. #}
{% macro changed_rows(relation, columns, key) %}
    {%- if not is_incremental() -%}
        {{ return('select ' ~ columns | join(', ') ~ ' from ' ~ relation) }}
    {%- endif -%}
    {{ return(
        came_rows(relation, columns, key) ~ ' union all ' ~ gone_rows(relation, columns, key)
    ) }}
{% endmacro %}

{# Of changed_rows those as they are now. #}
{% macro came_rows(relation, columns, key) %}
    {%- set sides = sides_of(relation) -%}
    {{ return(rows_only_in(sides.came, sides.gone, columns, key)) }}
{% endmacro %}

{# Of changed_rows those as they were before. #}
{% macro gone_rows(relation, columns, key) %}
    {%- set sides = sides_of(relation) -%}
    {{ return(rows_only_in(sides.gone, sides.came, columns, key)) }}
{% endmacro %}

{# Where the changed rows of an upstream are: in memory, when its increment in this very run kept them
   there (keeps_changes) and there was no other since; else in the files that came and went, among
   all rows of their buckets. #}
{% macro sides_of(relation) %}
    {%- set label = relation.schema ~ '.' ~ relation.identifier -%}
    {%- set plan = delta_plan() -%}
    {%- if label in plan.staged and not plan.follows_backfill -%}
        {{ return(plan.staged[label]) }}
    {%- endif -%}
    {{ return({'came': new_rows(relation), 'gone': plan.old_views[label]}) }}
{% endmacro %}

{# The rows of one relation that the other does not hold. #}
{% macro rows_only_in(one, other, columns, key) %}
    {%- set picked = 'select ' ~ columns | join(', ') ~ ' from ' -%}
    {%- if delta_plan().follows_backfill -%}{{ return(picked ~ one) }}{%- endif -%}
    {%- set hashed = 'changed_row' if columns == ['*'] else columns | join(', ') -%}
    {%- set compared = 'select *, hash(' ~ hashed ~ ') as row_hash from ' -%}
    {{ return(
        picked.replace('*', '* exclude (row_hash)')
        ~ '(' ~ compared ~ one ~ ' as changed_row) anti join ('
        ~ compared ~ other ~ ' as changed_row) as other_row using ('
        ~ key | join(', ') ~ ', row_hash)'
    ) }}
{% endmacro %}

{# A filter on the buckets (tenant, date) that this run recomputes. The plain lists are literals,
   which is what delta_scan can skip files by; the pairs make the filter exact.

   A model whose bucket is made of rows of other days too reads days_before and days_after around
   each bucket, and says in meta.touches which buckets a changed day of an upstream touches. #}
{% macro in_scope(date_column, days_before=0, days_after=0) %}
    {%- if not has_plan() -%}{{ return('true') }}{%- endif -%}
    {%- set plan = delta_plan() -%}
    {%- if plan.mode == 'backfill' -%}
        {{ return(
            date_column ~ " between date '" ~ plan.first ~ "' - " ~ days_before
            ~ " and date '" ~ plan.last ~ "' + " ~ days_after
        ) }}
    {%- elif plan.mode == 'full' and sliced_by() == 'days' -%}
        {{ return(
            date_column ~ " > coalesce(getvariable('after_day'), date '0001-01-01') - " ~ days_before
            ~ ' and ' ~ date_column ~ " <= coalesce(getvariable('to_day'), date '9999-12-31') + "
            ~ days_after
        ) }}
    {%- elif plan.mode == 'full' or plan.buckets is none -%}
        {{ return('true') }}
    {%- endif -%}
    {{ return(in_buckets(around(plan.buckets, days_before, days_after), date_column)) }}
{% endmacro %}

{# What a full build of this model slices by, by meta.sliced_by (lake/slices.py): days, where each of
   its rows is made of days that in_scope bounds; keys, where it names columns for in_slice. #}
{% macro sliced_by() %}
    {%- set said = config.get('meta', {}).get('sliced_by') -%}
    {{ return(said if said in (none, 'days') else 'keys') }}
{% endmacro %}

{# In a full build the rows of one slice of the keys in meta.sliced_by; all rows when nothing says
   which slice. Each row that takes part in a row of the model must have the key. In the type of a
   hash: by another one DuckDB divides numbers of 128 bits, which takes twenty times as long. #}
{% macro in_slice() %}
    {%- if not has_plan() or delta_plan().mode != 'full' -%}{{ return('true') }}{%- endif -%}
    {{ return(
        'hash(' ~ config.get('meta').sliced_by | join(', ') ~ ')'
        ~ " % coalesce(getvariable('slices')::ubigint, 1::ubigint)"
        ~ " = coalesce(getvariable('slice')::ubigint, 0::ubigint)"
    ) }}
{% endmacro %}

{# The buckets, and those of the same tenant so many days before and after each. #}
{% macro around(buckets, days_before, days_after) %}
    {%- if not days_before and not days_after -%}{{ return(buckets) }}{%- endif -%}
    {%- set timedelta = modules.datetime.timedelta -%}
    {%- set found = {} -%}
    {%- for bucket in buckets -%}
        {%- set day = modules.datetime.date.fromisoformat(bucket[1]) -%}
        {%- for days in range(-days_before, days_after + 1) -%}
            {%- do found.update({(bucket[0], (day + timedelta(days)).isoformat()): true}) -%}
        {%- endfor -%}
    {%- endfor -%}
    {{ return(found.keys() | list | sort) }}
{% endmacro %}

{% macro in_buckets(buckets, date_column) %}
    {%- if not buckets -%}{{ return('false') }}{%- endif -%}
    {%- set tenants = [] -%}{%- set dates = [] -%}{%- set pairs = [] -%}
    {%- for bucket in buckets -%}
        {%- set tenant = dbt.string_literal(dbt.escape_single_quotes(bucket[0])) -%}
        {%- set day = "date '" ~ bucket[1] ~ "'" -%}
        {%- do tenants.append(tenant) -%}
        {%- do dates.append(day) -%}
        {%- do pairs.append('(' ~ tenant ~ ', ' ~ day ~ ')') -%}
    {%- endfor -%}
    {{ return(
        'tenant_id in (' ~ tenants | unique | join(', ') ~ ')'
        ~ ' and ' ~ date_column ~ ' in (' ~ dates | unique | join(', ') ~ ')'
        ~ ' and (tenant_id, ' ~ date_column ~ ') in (values ' ~ pairs | join(', ') ~ ')'
    ) }}
{% endmacro %}

{# The buckets (tenant_id, bucket_date) of the upstreams that changed, as a relation: for a model that
   works out from them which buckets of its own it replaces. Empty when there is none. #}
{% macro changed_buckets() %}
    {%- set pairs = [] -%}
    {%- for bucket in (delta_plan().buckets or []) if has_plan() -%}
        {%- set tenant = dbt.string_literal(dbt.escape_single_quotes(bucket[0])) -%}
        {%- do pairs.append('(' ~ tenant ~ ", date '" ~ bucket[1] ~ "')") -%}
    {%- endfor -%}
    {%- if not pairs -%}
        {{ return('(select cast(null as varchar) as tenant_id, cast(null as date) as bucket_date where false)') }}
    {%- endif -%}
    {{ return('(values ' ~ pairs | join(', ') ~ ') as changed_buckets (tenant_id, bucket_date)') }}
{% endmacro %}

{# True when the model's SQL will be run, so that a step of it may be run now. #}
{% macro is_building() %}
    {{ return(has_plan() and flags.WHICH in ('run', 'build', 'retry') and not delta_plan().nothing) }}
{% endmacro %}

{# Runs one step of a model ahead and keeps its rows, in memory, for literals and for the buckets. #}
{% macro stage_rows(name, sql) %}
    {%- if not is_building() -%}{{ return('(' ~ sql ~ ')') }}{%- endif -%}
    {%- set table = 'increments."' ~ model.name ~ '__' ~ name ~ '"' -%}
    {%- do run_query('create or replace table ' ~ table ~ ' as ' ~ sql) -%}
    {{ return(table) }}
{% endmacro %}

{# Of a relation all rows of those data files that may hold a key of a table of stage_rows; the keys
   are for the query to compare. Partition columns may not be in the key. All uses of a relation name
   the same key, as what is known of it is kept for each file (lake/key_hashes.py). #}
{% macro rows_near(relation, key, staged) %}
    {%- if not is_building() -%}{{ return(relation) }}{%- endif -%}
    {%- set label = relation.schema ~ '.' ~ relation.identifier -%}
    {{ return('(' ~ delta_call('near', {'label': label, 'key': key, 'staged': staged}).sql ~ ')') }}
{% endmacro %}

{# Tells the plugin which buckets (tenant, date) an increment of this model replaces. #}
{% macro replaces_buckets(sql) %}
    {%- if is_building() -%}{%- do delta_call('buckets', {'sql': sql}) -%}{%- endif -%}
{% endmacro %}

{# At the end of a model's SQL: the rows of the table's own that an increment writes again in its buckets,
   beside those that the SQL selects. They are most of what is written, so they go from the files to the
   writer, and not into a table first as the others do (ADR 116). #}
{% macro and_keeps(sql) %}
    {%- if not is_building() -%}{{ return('union all by name ' ~ sql) }}{%- endif -%}
    {%- do delta_call('keeps', {'sql': sql}) -%}
    {{ return('') }}
{% endmacro %}

{# Tells the plugin in which two tables, of stage_rows, an increment of this model has the rows that it
   adds to the table and those that it takes away, so that models which follow the changes need not
   look for them in all rows of the buckets. A row may be in both. #}
{% macro keeps_changes(came, gone) %}
    {%- if is_building() -%}
        {%- do delta_call('changes', {'came': came, 'gone': gone}) -%}
    {%- endif -%}
{% endmacro %}

{# The buckets that a query gives, as a filter with literals; no filter when nothing is built. #}
{% macro in_buckets_of(sql, date_column) %}
    {%- if not is_building() -%}{{ return('true') }}{%- endif -%}
    {{ return(in_buckets(delta_call('read_buckets', {'sql': sql}).buckets, date_column)) }}
{% endmacro %}

{# The rows of a table for which a condition on its key holds. Only the columns of the condition are
   read of the whole table; all others of the partitions in which it holds. #}
{% macro rows_where(relation, day, condition) %}
    {%- set found = 'select distinct tenant_id, ' ~ day ~ ' from ' ~ relation ~ ' where ' ~ condition -%}
    {{ return(
        'select * from ' ~ relation ~ ' where ' ~ in_buckets_of(found, day) ~ ' and ' ~ condition
    ) }}
{% endmacro %}

{# The day that a query gives, as a literal, so that delta_scan can skip older files; the end of
   days when it gives none. #}
{% macro first_day_of(sql) %}
    {%- if not is_building() -%}{{ return("date '0001-01-01'") }}{%- endif -%}
    {%- set day = run_query(sql).columns[0].values()[0] -%}
    {{ return("date '" ~ (day or '9999-12-31') ~ "'") }}
{% endmacro %}
