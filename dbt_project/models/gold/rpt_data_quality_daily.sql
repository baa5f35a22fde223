{{
    config(
        incremental_strategy='replace_buckets',
        partition_by=['tenant_id', 'quality_date'],
    )
}}

{%- set whats = [
    'rows', 'dead_letters', 'events', 'rejected', 'rescued', 'late', 'future', 'date_clamped',
] %}

with arrivals as (
    select * from {{ ref('int_arrivals') }}
    where {{ in_scope('arrival_date') }}
),

counted as (
    select
        tenant_id,
        arrival_date,
        contract,
        {%- for what in whats %}
        coalesce(sum(amount) filter (where what = '{{ what }}'), 0) as {{ what }}_amount,
        {%- endfor %}
        coalesce(sum(amount) filter (where what like 'null:%'), 0) as null_amount,
        list(
            { 'empty_column': split_part(what, ':', 2), 'amount': amount }
            order by what
        ) filter (where what like 'null:%') as empty_columns
    from arrivals
    group by tenant_id, arrival_date, contract
),

final as (
    select
        tenant_id,
        arrival_date as quality_date,
        contract,
        cast(rows_amount + dead_letters_amount as bigint) as message_count,
        cast(rows_amount as bigint) as row_count,
        cast(dead_letters_amount as bigint) as dead_letter_count,
        cast(rejected_amount as bigint) as rejected_count,
        cast(rows_amount - rejected_amount - events_amount as bigint) as duplicate_count,
        cast(events_amount as bigint) as event_count,
        cast(rescued_amount as bigint) as rescued_count,
        cast(late_amount as bigint) as late_count,
        cast(future_amount as bigint) as future_count,
        cast(date_clamped_amount as bigint) as date_clamped_count,
        cast(null_amount as bigint) as null_count,
        cast(
            to_json(
                map_from_entries(
                    list_transform(
                        coalesce(empty_columns, []), lambda n: (n.empty_column, n.amount)
                    )
                )
            ) as varchar
        ) as null_counts,
        events_amount / nullif(rows_amount + dead_letters_amount, 0) as good_share
    from counted
    where rows_amount + dead_letters_amount > 0
)

select * from final
