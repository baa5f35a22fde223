{# Where a visit came from, by the first rule that fits. A tag that the marketer set counts before
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
    {%- set referrer_host = host_of('referrer') -%}
    case
        when regexp_matches(lower(utm_medium), '^(cpc|ppc|paid.*|display|banner)$') then 'paid'
        when lower(utm_medium) in ('email', 'newsletter') then 'email'
        when lower(utm_medium) like 'social%' then 'social'
        when lower(utm_medium) in ('affiliate', 'referral', 'partner') then 'referral'
        when coalesce(utm_source, '') != '' or coalesce(utm_medium, '') != '' then 'campaign'
        when {{ referrer_host }} = '' or {{ referrer_host }} = {{ host_of('page_url') }} then 'direct'
        when regexp_matches({{ referrer_host }}, '{{ search | trim }}') then 'organic_search'
        when regexp_matches({{ referrer_host }}, '{{ social | trim }}') then 'social'
        else 'referral'
    end
{%- endmacro %}

{% macro host_of(url) -%}
    regexp_extract(lower(coalesce({{ url }}, '')), '^(?:[a-z][a-z0-9+.-]*:)?//(?:[^/@]*@)?(?:www\.|m\.|l\.)?([^/:?#]+)', 1)
{%- endmacro %}

{# The path of a URL without its query and fragment; / when it names the host alone. #}
{% macro path_of(url) -%}
    coalesce(
        nullif(regexp_extract({{ url }}, '^(?:(?:[a-z][a-z0-9+.-]*:)?//[^/?#]*)?([^?#]*)', 1), ''),
        '/'
    )
{%- endmacro %}
