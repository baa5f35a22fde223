{# Where a visit came from, by the first rule that fits, of a row that has referrer_host and page_host. A tag that the marketer set counts before
   the referrer; a referrer on the page's own host is no source.

   utm_medium  cpc, ppc, paid*, display, banner -> paid; email, newsletter -> email;
               social* -> social; affiliate, referral, partner -> referral
   utm_source  set, with another medium or none -> campaign
   referrer    none or the page's own host -> direct; a search engine -> organic_search;
               a social network or messenger -> social; any other -> referral #}
{% macro traffic_channel() -%}
    {%- set search -%}
        ^(google|bing|duckduckgo|baidu|yandex|ecosia|naver|(search\.)?yahoo)\.
    {%- endset -%}
    {%- set social -%}
        ^(x|twitter|facebook|instagram|tiktok|reddit|linkedin|youtube|telegram|t|discord|medium)\.
    {%- endset -%}
    case
        when regexp_matches(lower(utm_medium), '^(cpc|ppc|paid.*|display|banner)$') then 'paid'
        when lower(utm_medium) in ('email', 'newsletter') then 'email'
        when lower(utm_medium) like 'social%' then 'social'
        when lower(utm_medium) in ('affiliate', 'referral', 'partner') then 'referral'
        when coalesce(utm_source, '') != '' or coalesce(utm_medium, '') != '' then 'campaign'
        when referrer_host = '' or referrer_host = page_host then 'direct'
        when regexp_matches(referrer_host, '{{ search | trim }}') then 'organic_search'
        when regexp_matches(referrer_host, '{{ social | trim }}') then 'social'
        else 'referral'
    end
{%- endmacro %}

{# The host that a URL names, without www., m. or l. before it; '' when it names none. Most URLs are
   of the plain form, and the regular expression for the others takes six times as long. #}
{% macro host_of(url) -%}
    {%- set plain = "split_part(" ~ url ~ ", '/', 3)" -%}
    case
        when regexp_matches({{ url }}, '^https?://[a-z0-9.-]+/')
            then case
                when {{ plain }} like 'www._%' then substr({{ plain }}, 5)
                when {{ plain }} like 'm._%' or {{ plain }} like 'l._%' then substr({{ plain }}, 3)
                else {{ plain }}
            end
        else regexp_extract(
            lower(coalesce({{ url }}, '')),
            '^(?:[a-z][a-z0-9+.-]*:)?//(?:[^/@]*@)?(?:www\.|m\.|l\.)?([^/:?#]+)',
            1
        )
    end
{%- endmacro %}

{# The path of a URL without its query and fragment; / when it names the host alone. #}
{% macro path_of(url) -%}
    coalesce(
        nullif(regexp_extract({{ url }}, '^(?:(?:[a-z][a-z0-9+.-]*:)?//[^/?#]*)?([^?#]*)', 1), ''),
        '/'
    )
{%- endmacro %}
