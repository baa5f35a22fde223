{{
    config(
        materialized='table',
    )
}}

{#- The same rows in each build, so it is written once. -#}

select
    cast(
        unnest(
            generate_series(
                date '{{ var("earliest_event_date") }}',
                date '{{ var("last_calendar_date") }}',
                interval 1 day
            )
        ) as date
    ) as calendar_date
