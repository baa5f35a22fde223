{{
    config(
        incremental_strategy='replace_buckets',
        partition_by=['tenant_id', 'anomaly_date'],
    )
}}

{#- An hour is judged by the same hour of the days before it, so a changed day touches itself and
    the days that it is part of the baseline of. The newest hour of the lake is not complete and is
    not judged; when it moves, the hours before it are judged for every tenant, also those in which
    nothing came. How far it has moved since the last build is not known: from the newest day that
    did not change is surely enough. -#}
{%- set base_days = var('anomaly_base_days') %}
{%- set counts = [
    'event_count', 'page_view_count', 'registration_count', 'conversion_count', 'purchase_count',
] %}
{%- set metrics = counts + ['revenue_usd'] %}
{%- if is_incremental() %}
    {%- set changed_days = (delta_plan().buckets or [['', var('earliest_event_date')]]) | map(attribute=1) | list %}
    {%- set touched_sql %}
        with changed as (
            select * from {{ changed_buckets() }}
        ),

        days as (
            select distinct tenant_id, metric_date
            from {{ ref('fct_metrics_60m') }}
            where metric_date >= date '{{ changed_days | min }}' - {{ 2 * base_days }}
        ),

        bounds as (
            select
                max(days.metric_date) as newest_date,
                (select max(bucket_date) from changed) as last_changed_date
            from days
        ),

        moved as (
            select
                min(changed.bucket_date) as first_changed_date,
                any_value(greatest(bounds.newest_date, bounds.last_changed_date)) as last_date
            from changed, bounds
            where changed.bucket_date > coalesce(bounds.newest_date - {{ base_days }}, changed.bucket_date - 1)
        ),

        since as (
            select
                moved.last_date,
                coalesce(max(days.metric_date), moved.first_changed_date) as first_date
            from moved
            left join days on days.metric_date < moved.first_changed_date
            group by moved.last_date, moved.first_changed_date
        ),

        tenants as (
            select tenant_id from days
            union
            select tenant_id from changed
        ),

        reached as (
            select changed.tenant_id, changed.bucket_date + cast(n.number as integer) as anomaly_date
            from changed, range({{ base_days + 1 }}) as n (number)
            union
            select tenants.tenant_id, cast(unnest(generate_series(since.first_date, since.last_date, interval 1 day)) as date) as anomaly_date
            from tenants, since
        )

        select reached.*
        from reached, bounds
        where reached.anomaly_date <= greatest(bounds.newest_date, bounds.last_changed_date)
    {%- endset %}
    {%- set touched = stage_rows('touched', touched_sql) %}
    {%- do replaces_buckets('select tenant_id, anomaly_date from ' ~ touched) %}
    {%- set read_sql %}
        select distinct touched.tenant_id, touched.anomaly_date - cast(n.number as integer)
        from {{ touched }} as touched, range({{ base_days + 1 }}) as n (number)
    {%- endset %}
{%- endif %}

with metrics as (
    select * from {{ ref('fct_metrics_60m') }}
    {%- if is_incremental() %}
    where {{ in_buckets_of(read_sql, 'metric_date') }}
    {%- endif %}
),

newest as (
    select max(window_start) as newest_start
    from {{ ref('fct_metrics_60m') }}
    {%- if is_incremental() %}
    where metric_date >= date '{{ changed_days | min }}' - {{ 2 * base_days }}
    {%- endif %}
),

by_site as (
    select
        tenant_id,
        site_id,
        metric_date,
        window_start,
        unnest([
            {%- for metric in metrics %}
            { 'metric': '{{ metric }}', 'amount': cast(sum({{ metric }}) as double) }
            {%- if not loop.last %},{% endif %}
            {%- endfor %}
        ]) as measured
    from metrics
    group by tenant_id, site_id, metric_date, window_start
),

happened as (
    select
        tenant_id,
        site_id,
        metric_date,
        window_start,
        measured.metric,
        measured.amount
    from by_site
    where measured.amount != 0
),

series as (
    select distinct
        tenant_id,
        site_id,
        metric
    from happened
),

days as (
    {%- if is_incremental() %}
    select
        read_days.tenant_id,
        read_days.metric_date,
        touched.tenant_id is not null as is_judged
    from ({{ read_sql }}) as read_days (tenant_id, metric_date)
    left join {{ touched }} as touched
        on read_days.tenant_id = touched.tenant_id
        and read_days.metric_date = touched.anomaly_date
    {%- else %}
    select
        tenant_id,
        cast(
            unnest(
                generate_series(
                    min(metric_date),
                    cast((select newest_start from newest) as date),
                    interval 1 day
                )
            ) as date
        ) as metric_date,
        true as is_judged
    from metrics
    group by tenant_id
    {%- endif %}
),

filled as (
    select
        series.tenant_id,
        series.site_id,
        series.metric,
        days.metric_date,
        days.metric_date - date '2000-01-01' as day_number,
        days.is_judged,
        cast(days.metric_date as timestamptz)
        + cast(hours.number as integer) * interval 1 hour as window_start
    from series
    inner join days using (tenant_id)
    cross join range(24) as hours (number)
),

valued as (
    select
        filled.*,
        coalesce(happened.amount, 0) as amount,
        case when happened.amount is not null then filled.window_start end as happened_at
    from filled
    left join happened using (tenant_id, site_id, metric, window_start)
),

-- The hours before a series' first appearance in the baseline's days are no zeros.
compared as (
    select
        *,
        list({ 'at': window_start, 'amount': amount }) over (
            partition by tenant_id, site_id, metric, hour(window_start)
            order by day_number
            range between {{ base_days }} preceding and 1 preceding
        ) as base,
        min(happened_at) over (
            partition by tenant_id, site_id, metric
            order by day_number
            range between {{ base_days }} preceding and 1 preceding
        ) as appeared_at
    from valued
),

-- Sorted, so that a sum over it is the same to the last bit whatever order it came in.
based as (
    select
        * exclude (base),
        list_sort(
            list_transform(list_filter(base, lambda b: b.at >= appeared_at), lambda b: b.amount)
        ) as base
    from compared
    where is_judged and window_start < (select newest_start from newest)
),

summed as (
    select
        *,
        len(base) as base_day_count,
        list_avg(base) as mean_value,
        list_aggregate(base, 'stddev_samp') as deviation,
        list_median(base) as median_value,
        list_median(
            list_transform(base, lambda b: abs(b - list_median(base)))
        ) as median_deviation,
        case
            when metric = 'revenue_usd' then greatest(mean_value, 1)
            else sqrt(greatest(mean_value, 1))
        end as least_spread
    from based
    where len(base) >= {{ var('anomaly_min_days') }}
),

scored as (
    select
        *,
        greatest(deviation, least_spread) as spread,
        greatest(1.4826 * median_deviation, least_spread) as robust_spread,
        (amount - mean_value) / spread as z_score,
        (amount - median_value) / robust_spread as robust_z_score,
        abs(z_score) > 3 as is_sigma_anomaly,
        abs(robust_z_score) > 3.5 as is_robust_anomaly
    from summed
),

final as (
    select
        tenant_id,
        metric_date as anomaly_date,
        window_start,
        60 as window_minutes,
        site_id,
        metric,
        amount as observed_value,
        case when amount > median_value then 'spike' else 'drop' end as direction,
        case
            when not (is_sigma_anomaly and is_robust_anomaly) then 'notice'
            when abs(robust_z_score) < 7 then 'warning'
            else 'critical'
        end as severity,
        median_value as expected_value,
        greatest(median_value - 3.5 * robust_spread, 0) as expected_low,
        median_value + 3.5 * robust_spread as expected_high,
        robust_z_score,
        is_robust_anomaly,
        mean_value as expected_mean,
        greatest(mean_value - 3 * spread, 0) as sigma_low,
        mean_value + 3 * spread as sigma_high,
        z_score,
        is_sigma_anomaly,
        base_day_count
    from scored
    where (is_sigma_anomaly or is_robust_anomaly)
    {%- if is_backfill() %} and {{ in_scope('metric_date') }}{% endif %}
)

select * from final
