{{
    config(
        incremental_strategy='replace_buckets',
        partition_by=['tenant_id', 'started_date'],
    )
}}

{#- A bucket is a tenant and the day on which experiments started. A changed day touches the
    experiments that were running then, which are computed anew from all of their days. -#}
{%- set first_day = "date '" ~ var('earliest_event_date') ~ "'" %}
{%- if is_incremental() %}
    {%- set touched_sql %}
        select distinct
            changed.tenant_id,
            coalesce(experiments.starts_on, {{ first_day }}) as started_date
        from (select * from {{ changed_buckets() }}) as changed
        inner join {{ ref('experiments') }} as experiments
            on experiments.tenant_id in ('*', changed.tenant_id)
            and changed.bucket_date >= coalesce(experiments.starts_on, changed.bucket_date)
            and changed.bucket_date
            <= coalesce(experiments.ends_on + experiments.goal_within_days, changed.bucket_date)
    {%- endset %}
    {%- set touched = stage_rows('touched', touched_sql) %}
    {%- do replaces_buckets('select tenant_id, started_date from ' ~ touched) %}
{%- endif %}

with variants as (
    select
        *,
        coalesce(starts_on, {{ first_day }}) as started_date,
        sum(weight) over (partition by tenant_id, experiment_id) as total_weight,
        sum(weight) over (
            partition by tenant_id, experiment_id
            order by variant
            rows unbounded preceding
        ) as span_end,
        -- In the type of the draw: in another one each division is one of 128 bits.
        cast(total_weight as ubigint) as draws,
        cast(span_end - weight as ubigint) as first_draw,
        cast(span_end as ubigint) as end_draw
    from {{ ref('experiments') }}
),

events as (
    select
        events.*,
        experiments.tenant_id as scope,
        experiments.goal_within_days
    from {{ ref('int_experiment_events') }} as events
    inner join variants as experiments
        on events.experiment_id = experiments.experiment_id
        and experiments.tenant_id in ('*', events.tenant_id)
        and experiments.is_control
    {%- if is_incremental() %}
    semi join {{ touched }} as touched
        on events.tenant_id = touched.tenant_id
        and experiments.started_date = touched.started_date
    {%- elif is_backfill() %}
    where {{ in_scope('experiments.started_date') }}
    {%- endif %}
),

exposed as (
    select
        tenant_id,
        scope,
        experiment_id,
        user_id,
        any_value(goal_within_days) as goal_within_days,
        min(occurred_at) as exposed_at,
        arg_min(variant, (occurred_at, source_id)) as variant,
        min(variant) != max(variant) as is_mixed
    from events
    where happening = 'exposure'
    group by tenant_id, scope, experiment_id, user_id
),

converted as (
    select distinct
        exposed.tenant_id,
        exposed.experiment_id,
        exposed.user_id
    from exposed
    inner join events using (tenant_id, experiment_id, user_id)
    where
        events.happening = 'goal'
        and events.occurred_at >= exposed.exposed_at
        and {{ microseconds_after('events.occurred_at', 'exposed.exposed_at') }}
        <= {{ days('exposed.goal_within_days') }}
),

users as (
    select
        exposed.*,
        converted.user_id is not null as is_converted,
        {{ assignment_draw('exposed.experiment_id', 'exposed.user_id') }} as draw
    from exposed
    left join converted using (tenant_id, experiment_id, user_id)
),

judged as (
    select
        users.tenant_id,
        users.experiment_id,
        users.variant,
        count(*) filter (where not users.is_mixed) as exposed_count,
        count(*) filter (where not users.is_mixed and users.is_converted) as converted_count,
        count(*) filter (where users.is_mixed) as mixed_count,
        count(*) filter (
            where
            users.draw % variants.draws < variants.first_draw
            or users.draw % variants.draws >= variants.end_draw
        ) as misassigned_count,
        min(users.exposed_at) as first_exposed_at,
        max(users.exposed_at) as last_exposed_at
    from users
    inner join variants
        on users.scope = variants.tenant_id
        and users.experiment_id = variants.experiment_id
        and users.variant = variants.variant
    group by all
),

seen as (
    select distinct
        tenant_id,
        scope,
        experiment_id
    from exposed
),

-- Every variant of an experiment that anybody was shown has a row.
counted as (
    select
        seen.tenant_id,
        variants.started_date,
        variants.experiment_id,
        variants.variant,
        variants.is_control,
        variants.weight,
        variants.total_weight,
        coalesce(judged.exposed_count, 0) as exposed_count,
        coalesce(judged.converted_count, 0) as converted_count,
        coalesce(judged.mixed_count, 0) as mixed_count,
        coalesce(judged.misassigned_count, 0) as misassigned_count,
        judged.first_exposed_at,
        judged.last_exposed_at
    from seen
    inner join variants
        on seen.scope = variants.tenant_id
        and seen.experiment_id = variants.experiment_id
    left join judged
        on seen.tenant_id = judged.tenant_id
        and variants.experiment_id = judged.experiment_id
        and variants.variant = judged.variant
),

-- The sum over variants of observed^2 / expected, minus the number of users: chi-square. The list
-- fixes the order of the sum, and so its last bit.
ratios as (
    select
        tenant_id,
        experiment_id,
        list_sum(
            list(
                exposed_count * exposed_count * total_weight / weight
                order by variant
            ) filter (where weight > 0)
        ) / nullif(sum(exposed_count) filter (where weight > 0), 0)
        - sum(exposed_count) filter (where weight > 0) as srm_chi_square,
        count(*) filter (where weight > 0) - 1 as srm_degrees
    from counted
    group by tenant_id, experiment_id
),

compared as (
    select
        counted.*,
        control.exposed_count as n0,
        control.converted_count as x0,
        counted.converted_count / nullif(counted.exposed_count, 0) as conversion_rate,
        control.converted_count / nullif(control.exposed_count, 0) as control_rate,
        (counted.converted_count + control.converted_count)
        / nullif(counted.exposed_count + control.exposed_count, 0) as pooled_rate,
        ratios.srm_chi_square,
        ratios.srm_degrees
    from counted
    inner join counted as control
        on counted.tenant_id = control.tenant_id
        and counted.experiment_id = control.experiment_id
        and control.is_control
    inner join ratios
        on counted.tenant_id = ratios.tenant_id
        and counted.experiment_id = ratios.experiment_id
),

tested as (
    select
        *,
        case when not is_control then conversion_rate - control_rate end as uplift,
        {{ wilson_bound('converted_count', 'exposed_count', -1) }} as low,
        {{ wilson_bound('converted_count', 'exposed_count', 1) }} as high,
        {{ wilson_bound('x0', 'n0', -1) }} as low0,
        {{ wilson_bound('x0', 'n0', 1) }} as high0,
        sqrt(pooled_rate * (1 - pooled_rate) * (1 / exposed_count + 1 / n0)) as pooled_error,
        case when not is_control then uplift / nullif(pooled_error, 0) end as z_score
    from compared
),

final as (
    select
        tenant_id,
        started_date,
        experiment_id,
        variant,
        is_control,
        exposed_count,
        converted_count,
        conversion_rate,
        low as conversion_rate_low,
        high as conversion_rate_high,
        uplift,
        uplift / nullif(control_rate, 0) as relative_uplift,
        uplift - sqrt(pow(conversion_rate - low, 2) + pow(high0 - control_rate, 2)) as uplift_low,
        uplift + sqrt(pow(high - conversion_rate, 2) + pow(control_rate - low0, 2)) as uplift_high,
        z_score,
        case
            when z_score is not null then 2 * {{ normal_upper_tail('abs(z_score)') }}
        end as p_value,
        mixed_count,
        misassigned_count,
        weight / total_weight as expected_share,
        greatest(srm_chi_square, 0) as srm_chi_square,
        case
            when srm_degrees > 0 and srm_chi_square is not null
                then {{ chi_square_upper_tail('srm_chi_square', 'srm_degrees') }}
        end as srm_p_value,
        coalesce(
            srm_p_value < {{ var('sample_ratio_mismatch_below') }}, false
        ) as has_sample_ratio_mismatch,
        first_exposed_at,
        last_exposed_at
    from tested
)

select * from final
