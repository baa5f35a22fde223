{{
    config(
        incremental_strategy='replace_buckets',
        partition_by=['tenant_id', 'arrival_date'],
        meta={'reads': 'rows'},
    )
}}

{#- Each row of bronze and silver is counted when it is new, and added to what was counted before:
    exact, because each row is read once. A backfill of event dates brings no arrivals, so it
    leaves this table as it is. -#}
{%- set contracts = ['ad_events', 'app_events', 'clickstream', 'conversions', 'registrations'] %}
{%- set counted_sql = counted_arrivals(contracts) %}
{%- if is_backfill() %}
select * from {{ this }}
where {{ in_scope('arrival_date') }}
{%- else %}
{%- set counted = '(' ~ counted_sql ~ ')' %}
{%- if is_incremental() %}{% set counted = stage_rows('counted', counted_sql) %}{% endif %}
{%- set touched_sql = 'select distinct tenant_id, arrival_date from ' ~ counted %}
{%- if is_incremental() %}{% do replaces_buckets(touched_sql) %}{% endif %}
with counted as (
    select * from {{ counted }}
    {%- if is_incremental() %}
    union all
    select
        tenant_id,
        arrival_date,
        contract,
        what,
        amount
    from {{ this }}
    where {{ in_buckets_of(touched_sql, 'arrival_date') }}
    {%- endif %}
),

final as (
    select
        tenant_id,
        arrival_date,
        contract,
        what,
        cast(
            case when what like 'newest:%' then max(amount) else sum(amount) end as bigint
        ) as amount
    from counted
    group by tenant_id, arrival_date, contract, what
)

select * from final
{%- endif %}
