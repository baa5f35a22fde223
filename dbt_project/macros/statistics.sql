{# Distribution functions that DuckDB lacks. docs/concepts/experiments.md states their errors. #}

{# P(Z > x) for a standard normal Z and x >= 0. Hart's algorithm 5666 (J. F. Hart et al., Computer
   Approximations, Wiley 1968) with the continued fraction for the far tail, as given by G. West,
   "Better approximations to cumulative normal functions", Wilmott Magazine, May 2005. #}
{% macro normal_upper_tail(x) -%}
    {%- set numerator = [
        '0.0352624965998911', '0.700383064443688', '6.37396220353165', '33.912866078383',
        '112.079291497871', '221.213596169931', '220.206867912376',
    ] -%}
    {%- set denominator = [
        '0.0883883476483184', '1.75566716318264', '16.064177579207', '86.7807322029461',
        '296.564248779674', '637.333633378831', '793.826512519948', '440.413735824752',
    ] -%}
    case
        when ({{ x }}) < 7.07106781186547
            then exp(-({{ x }}) * ({{ x }}) / 2.0::double)
            * {{ polynomial(numerator, x) }} / {{ polynomial(denominator, x) }}
        else
            exp(-({{ x }}) * ({{ x }}) / 2.0::double) / 2.506628274631
            / (({{ x }}) + 1 / (({{ x }}) + 2 / (({{ x }}) + 3 / (({{ x }}) + 4 / (({{ x }}) + 0.65::double)))))
    end
{%- endmacro %}

{# Horner's scheme; the coefficients from the highest power down, as doubles. #}
{% macro polynomial(coefficients, x) -%}
    {%- set ns = namespace(text=coefficients[0] ~ '::double') -%}
    {%- for c in coefficients[1:] -%}
        {%- set ns.text = '(' ~ ns.text ~ ' * (' ~ x ~ ') + ' ~ c ~ '::double)' -%}
    {%- endfor -%}
    {{ ns.text }}
{%- endmacro %}

{# P(X > x) for a chi-square X with a whole number of degrees of freedom: the finite sums of
   M. Abramowitz and I. A. Stegun, Handbook of Mathematical Functions, 26.4.4 and 26.4.5. #}
{% macro chi_square_upper_tail(x, degrees) -%}
    case
        when ({{ x }}) <= 0 then 1.0::double
        when ({{ degrees }}) % 2 = 0
            then list_sum(
                list_transform(
                    range(({{ degrees }}) // 2),
                    lambda i: exp(i * ln(({{ x }}) / 2) - ({{ x }}) / 2 - lgamma(i + 1))
                )
            )
        else
            2 * {{ normal_upper_tail('sqrt(' ~ x ~ ')') }}
            + coalesce(
                list_sum(
                    list_transform(
                        range(1, (({{ degrees }}) + 1) // 2),
                        lambda i: exp(
                            (i - 0.5) * ln(({{ x }}) / 2) - ({{ x }}) / 2 - lgamma(i + 0.5)
                        )
                    )
                ),
                0
            )
    end
{%- endmacro %}

{# A bound of the 95 % score interval of a proportion (E. B. Wilson, Journal of the American
   Statistical Association 22, 1927): side is -1 or 1. Null when there are no trials. #}
{% macro wilson_bound(successes, trials, side) -%}
    {%- set z = '1.959963984540054::double' -%}
    case
        when {{ trials }} > 0
            then (
                {{ successes }} + {{ z }} * {{ z }} / 2
                + ({{ side }}) * {{ z }} * sqrt(
                    {{ successes }} * ({{ trials }} - {{ successes }})::double / {{ trials }}
                    + {{ z }} * {{ z }} / 4
                )
            ) / ({{ trials }} + {{ z }} * {{ z }})
    end
{%- endmacro %}
