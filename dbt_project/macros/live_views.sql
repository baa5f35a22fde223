{# The SQL of the live views, put together from the models' own files after a build and kept in the
   table ops.live_views for whoever makes the views (lake/live.py). A text names its tables as
   <layer>.<table>; where a model reads bronze it reads live.tail_<table> instead, and where a mart
   reads silver.stg_<table> it reads events_up_to_now (macros/live.sql). A mart by the minute needs of
   what was built its minutes and the first event of each visit: live.needed_<table>. See
   docs/concepts/live.md. #}
{% macro publish_live_views() %}
    {#- dbt finds what the hook depends on by these calls, when it parses. -#}
    {%- set sources = {
        'stg_ad_events': source('bronze', 'ad_events'),
        'stg_clickstream': source('bronze', 'clickstream'),
        'stg_conversions': source('bronze', 'conversions'),
        'stg_registrations': source('bronze', 'registrations'),
    } -%}
    {%- set staged = {
        'stg_ad_events': ref('stg_ad_events'),
        'stg_clickstream': ref('stg_clickstream'),
        'stg_conversions': ref('stg_conversions'),
        'stg_registrations': ref('stg_registrations'),
    } -%}
    {%- set sites = ref('sites') -%}
    {#- Marts by window, and how many minutes a window has. -#}
    {%- set marts = {
        'fct_metrics_1m': 1, 'fct_metrics_5m': 5, 'fct_metrics_15m': 15, 'fct_metrics_60m': 60,
        'fct_campaign_1m': 1,
    } -%}
    {%- if execute and flags.WHICH in ('build', 'run', 'retry') -%}
        {%- set texts = [] -%}
        {%- for name, relation in sources.items() -%}
            {%- set node = graph.nodes['model.lakeward.' ~ name] -%}
            {%- do texts.append({
                'kind': 'events',
                'name': name,
                'key': node.config.unique_key,
                'sql': render(node.raw_code)
                    | replace(relation | string, 'live.tail_' ~ relation.identifier)
                    | replace(sites | string, 'silver.sites'),
            }) -%}
            {%- do texts.append({
                'kind': 'minutes',
                'name': name,
                'key': [],
                'sql': touched_minutes(relation.identifier),
            }) -%}
        {%- endfor -%}
        {%- do texts.append({
            'kind': 'firsts',
            'name': 'stg_clickstream',
            'key': [],
            'sql': first_of_visits('select * from live.built_clickstream'),
        }) -%}
        {%- for name in marts if marts[name] == 1 -%}
            {%- do model.update({'is_held': true}) -%}
            {%- set text = namespace(sql=render(graph.nodes['model.lakeward.' ~ name].raw_code)) -%}
            {%- do model.update({'is_held': false}) -%}
            {%- for relation in staged.values() -%}
                {%- set contract = relation.identifier | replace('stg_', '') -%}
                {%- set text.sql = text.sql | replace(relation | string, 'held.open_' ~ contract) -%}
            {%- endfor -%}
            {%- do texts.append({'kind': 'rows', 'name': name, 'key': [], 'sql': text.sql}) -%}
        {%- endfor -%}
        {%- for name, minutes in marts.items() -%}
            {%- set text = namespace(sql=render(graph.nodes['model.lakeward.' ~ name].raw_code)) -%}
            {%- set contracts = [] -%}
            {%- for relation in staged.values() if relation | string in text.sql -%}
                {%- set contract = relation.identifier | replace('stg_', '') -%}
                {%- do contracts.append(contract) -%}
                {%- set built = 'needed' if minutes == 1 else 'built' -%}
                {%- set events = events_up_to_now(contract, built) -%}
                {%- set text.sql = text.sql | replace(relation | string, events) -%}
            {%- endfor -%}
            {%- do texts.append({
                'kind': 'windows',
                'name': name,
                'key': [],
                'sql': touched_windows(contracts, minutes),
            }) -%}
            {%- do texts.append({
                'kind': 'mart',
                'name': name,
                'key': [],
                'sql': mart_up_to_now(name, text.sql),
            }) -%}
        {%- endfor -%}
        {%- do texts.append({
            'kind': 'mart',
            'name': 'current_active_sessions',
            'key': [],
            'sql': render(graph.nodes['model.lakeward.current_active_sessions'].raw_code)
                | replace(staged.stg_clickstream | string, '(' ~ active_sessions_as_events() ~ ')'),
        }) -%}
        {%- do delta_call(
            'live_views', {'texts': texts},
            api.Relation.create(schema='ops', identifier='live_views')
        ) -%}
    {%- endif -%}
{% endmacro %}

{# What the last build knew of a visit says as much about now as the events that it was made of:
   the newest event and its attributes. So an active visit stands for them. #}
{% macro active_sessions_as_events() -%}
        select
            tenant_id,
            session_id,
            last_event_id as event_id,
            last_seen_at as event_at,
            active_date as event_date,
            user_id,
            site_id,
            page_type,
            country,
            device_type,
            false as is_date_clamped
        from gold.current_active_sessions
        union all by name
        select * from live.new_clickstream
{%- endmacro %}
