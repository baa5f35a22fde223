{# Measures that several marts show: one definition each, so that the marts agree. All are
   aggregates over rows of stg_conversions, or of a step that kept its columns; `prefix` names the
   alias of these rows. #}

{% macro purchase_count(prefix='') -%}
    count(*) filter (where {{ prefix }}is_purchase)
{%- endmacro %}

{# What was paid; 0 when nothing was. #}
{% macro revenue_usd(prefix='') -%}
    {{ usd_or_zero('sum(' ~ prefix ~ 'amount_usd) filter (where ' ~ prefix ~ 'is_purchase)') }}
{%- endmacro %}

{# What was paid in one currency of the contract. #}
{% macro revenue_usd_in(payment_method) -%}
    {{ usd_or_zero(
        "sum(amount_usd) filter (where is_purchase and payment_method = '" ~ payment_method ~ "')"
    ) }}
{%- endmacro %}

{# Tokens that were bought; 0 when none were. #}
{% macro tokens_bought(prefix='') -%}
    cast(
        coalesce(sum({{ prefix }}token_amount) filter (where {{ prefix }}is_purchase), 0)
        as decimal(38, 8)
    )
{%- endmacro %}

{# Distinct users who paid, exact. #}
{% macro payer_count(prefix='') -%}
    count(distinct {{ prefix }}user_id) filter (where {{ prefix }}is_purchase)
{%- endmacro %}

{# Revenue a payer; null when there is no payer, or no purchase names an amount. #}
{% macro arpu_usd(prefix='') -%}
    {{ usd_each(
        'sum(' ~ prefix ~ 'amount_usd) filter (where ' ~ prefix ~ 'is_purchase)',
        payer_count(prefix)
    ) }}
{%- endmacro %}

{% macro usd_or_zero(amount) -%}
    cast(coalesce({{ amount }}, 0) as decimal(18, 2))
{%- endmacro %}

{# An amount in whole cents divided by a count, rounded half up to cents, in whole numbers: DuckDB
   divides decimals as doubles. The amount must not be below 0. Null for a count of 0. #}
{% macro usd_each(amount, count) -%}
    cast(
        cast(
            (2 * cast({{ amount }} * 100 as hugeint) + {{ count }}) // nullif(2 * {{ count }}, 0)
            as decimal(16, 0)
        ) * 0.01 as decimal(18, 2)
    )
{%- endmacro %}

{# A share from 0 to 1; null when there is nothing to have a share of. #}
{% macro share_of(part, total) -%}
    {{ part }} / nullif({{ total }}, 0)
{%- endmacro %}

{# Median of the seconds from one moment to another, exact and interpolated; null when no row has
   both. #}
{% macro median_seconds(earlier, later) -%}
    quantile_cont({{ seconds_after(later, earlier) }}, 0.5)
{%- endmacro %}
