{{ config(materialized='table') }}

with arrivals as (
    select * from {{ ref('int_arrivals') }}
    where what like 'newest:%' or what = 'events'
),

newest as (
    select
        tenant_id,
        contract,
        min(arrival_date) as first_arrival_date,
        make_timestamptz(max(amount) filter (where what = 'newest:event_at')) as newest_event_at,
        make_timestamptz(max(amount) filter (where what = 'newest:arrived_at'))
            as newest_arrived_at,
        make_timestamptz(max(amount) filter (where what = 'newest:committed_at'))
            as newest_committed_at,
        cast(sum(amount) filter (where what = 'events') as bigint) as event_count
    from arrivals
    group by tenant_id, contract
),

final as (
    select
        tenant_id,
        contract,
        first_arrival_date,
        newest_event_at,
        newest_arrived_at,
        newest_committed_at,
        greatest({{ seconds_after('newest_committed_at', 'newest_event_at') }}, 0)
            as event_lag_seconds,
        greatest({{ seconds_after('newest_committed_at', 'newest_arrived_at') }}, 0)
            as commit_lag_seconds,
        {{ seconds_after('max(newest_committed_at) over ()', 'newest_committed_at') }}
            as behind_seconds,
        event_count
    from newest
)

select * from final
