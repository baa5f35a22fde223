"""The SQL that makes up events, a slice of time at once: everything follows from running numbers.

Nothing is drawn: what a visit is like is a hash of its number, so a slice needs nothing of the one
before it, and DuckDB makes a million events in a second or two on all cores. The shares are those
of ``lakeward generate``. People come back for weeks: the age of a returning visitor's account
falls off exponentially, so that the days of long ago are touched too, and seldom.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from ingest.generator.world import (
    BROWSER_WEIGHTS,
    BROWSERS,
    CAMPAIGN_WEIGHTS,
    CAMPAIGNS,
    COUNTRIES,
    COUNTRY_WEIGHTS,
    DEVICE_WEIGHTS,
    DEVICES,
    PAGES,
)

RETURN_DAYS: Final = 7
"""After how many days, on average, somebody comes back."""
LATE_SHARE: Final = 0.02
LATE_HOURS: Final = 20
RETRY_EACH: Final = 200
"""One event in so many is sent twice, by a client that saw no answer."""

MACROS: Final = f"""
-- hash(a, b) alone is one hash with a constant mixed in: two draws of a number would be alike
create or replace macro drawn(n, what) as hash(hash(n, what));
create or replace macro share(n, what) as (drawn(n, what) >> 11) / 9007199254740992.0;
create or replace macro hex_of(n, what) as lower(to_hex(drawn(n, what)));
create or replace macro one_of(n, list) as
    getvariable(list)[1 + (drawn(n, list) % len(getvariable(list)))::integer];
-- A person is the number of the visit in which they signed up; below 0: before the first visit.
create or replace macro earlier_person(n, a_day, what) as case
    when n - 100 + ln(1 - share(n, what)) * {RETURN_DAYS} * a_day < 0
        then -1 - (drawn(n, what) % 2000)::bigint
    else (n - 100 + ln(1 - share(n, what)) * {RETURN_DAYS} * a_day)::bigint // 100 * 100
        + (drawn(n, what || '!') % 50)::bigint
end;
create or replace macro signs_up(n) as n % 100 < 50;
create or replace macro late_by(n) as case when share(n, 'late') < {LATE_SHARE}
    then to_microseconds((share(n, 'how late') * {LATE_HOURS} * 3600e6)::bigint)
    else to_microseconds(0) end;
"""

_CHOICES: Final[Mapping[str, Mapping[str, float]]] = {
    "countries": dict(zip(COUNTRIES, COUNTRY_WEIGHTS, strict=True)),
    "devices": {name: 100 * w for name, w in zip(DEVICES, DEVICE_WEIGHTS, strict=True)},
    "browsers": dict(zip(BROWSERS, BROWSER_WEIGHTS[0], strict=True)),
    "campaigns": dict(zip(CAMPAIGNS, CAMPAIGN_WEIGHTS, strict=True)),
    "pages": dict.fromkeys(PAGES, 1),
    "page_actions": {"page_view": 2, "click": 1, "scroll": 1},
    "tiers": {"basic": 14, "advanced": 4, "premium": 2},
    "sales": {"presale_participate": 3, "token_purchase": 7},
    "payments": {"ETH": 9, "USDT": 5, "USDC": 4, "BTC": 2},
    "networks": {"google_ads": 20, "facebook_ads": 15, "tiktok": 9, "email": 6},
    "ad_actions": {"impression": 16, "click": 3, "conversion": 1},
    "channels": {"web": 11, "mobile": 9, "chat": 3, "server": 2},
    "chat_actions": {"message": 6, "message_reply": 3, "handover_to_agent": 1},
    "app_actions": {"page_view": 5, "button_click": 3, "search": 2},
    "screens": {"portfolio": 3, "market": 2, "wallet": 1},
    "variants": {"control": 1, "checklist": 1},
}
"""What is chosen from, by the name of the list, and how often each is."""


def variables() -> str:
    """Return the statements that give DuckDB the lists; a literal would be made anew each row."""
    statements = []
    for name, weights in _CHOICES.items():
        values = [value for value, weight in weights.items() for _ in range(round(weight))]
        statements.append(f"set variable {name} = {values}")
    return ";".join(statements)


VISITS: Final = """
create or replace temp table visits as
with numbered as (
    select
        $visit + i as n,
        $begin + to_microseconds(((i + share($visit + i, 'at')) / $visits * $span_us)::bigint)
            as arrived_at
    from range($visits) as numbers (i)
),

people as (
    select
        *,
        share(n, 'member') < 0.15 as is_member,
        case when is_member then earlier_person(n, $visits_a_day, 'person') else n end as person,
        arrived_at - late_by(n) as started_at,
        not is_member and signs_up(n) as is_signup,
        is_signup and n % 100 < 15 as is_connect,
        is_signup and n % 100 < 5 as is_purchase,
        1 + least(floor(-ln(1 - share(n, 'length')) * 3.08)::integer, 30) as event_count,
        5 + share(n, 'gap') * 60 as gap_s,
        drawn(n, 'source') % 20 as source
    from numbered
)

select
    people.*,
    'u-' || hex_of(person, 'user') as user_id,
    's-' || hex_of(n, 'visit') as session_id,
    sites.tenant_id,
    sites.site_id,
    sites.domain,
    sites.token_symbol,
    one_of(person, 'countries') as country,
    one_of(person, 'devices') as device_type,
    one_of(person, 'browsers') as browser,
    '198.18.' || drawn(person, 'net') % 256 || '.' || drawn(person, 'host') % 256 as ip,
    case source when 0 then 'google' when 1 then 'facebook' when 2 then 'newsletter' end
        as utm_source,
    case source when 0 then 'cpc' when 1 then 'cpc' when 2 then 'email' end as utm_medium,
    case when source < 3 then one_of(n, 'campaigns') end as utm_campaign,
    case
        when source < 9 then 'https://www.google.com/'
        when source < 11 then 'https://x.com/'
        when source < 12 then 'https://t.me/'
    end as referrer
from people
inner join sites on sites.number = drawn(person, 'site') % $sites
"""

CONTRACTS: Final = {
    "clickstream": """
        select
            tenant_id,
            hex_of(n * 64 + j - (j > 0 and drawn(n * 64 + j, 'retry') % $retry = 0)::integer, 'e')
                as event_id,
            session_id,
            case when is_member or (is_signup and 2 * j >= event_count) then user_id end as user_id,
            started_at + to_milliseconds((1000 * j * gap_s)::bigint) as occurred_at,
            case
                when j = 0 then 'page_view'
                else one_of(n * 64 + j, 'page_actions')
            end as event_type,
            one_of(n * 64 + j, 'pages') as page_type,
            'https://' || domain || '/' || page_type as page_url,
            case when j = 0 then referrer else 'https://' || domain || '/' end as referrer,
            country,
            device_type,
            browser,
            case when event_type = 'page_view'
                then round(0.1 - ln(1 - share(n * 64 + j, 'load')), 3) end as page_load_time,
            case when event_type = 'scroll'
                then round(100 * share(n * 64 + j, 'depth'), 1) end as scroll_depth,
            site_id,
            ip,
            utm_source,
            utm_medium,
            utm_campaign,
            arrived_at + to_milliseconds((1000 * j * gap_s)::bigint + 20 + n % 900) as _appended_at
        from visits, range(event_count) as steps (j)
    """,
    "registrations": """
        select
            tenant_id,
            'r-' || hex_of(n, 'registration') as registration_id,
            user_id,
            session_id,
            started_at + to_milliseconds((1000 * event_count * gap_s)::bigint) as occurred_at,
            'p' || hex_of(n, 'mail') || '@example.com' as email,
            case when n % 5 < 3 then '0x' || hex_of(n, 'wallet') end as wallet_address,
            share(n, 'consent') < 0.55 as consent_marketing,
            share(n, 'kyc') < 0.4 as kyc_completed,
            one_of(n, 'tiers') as verification_tier,
            country,
            site_id,
            ip,
            arrived_at + to_milliseconds((1000 * event_count * gap_s)::bigint + 20 + n % 900)
                as _appended_at
        from visits
        where is_signup
    """,
    "conversions": """
        select
            tenant_id,
            'c-' || hex_of(2 * n + j, 'conversion') as conversion_id,
            user_id,
            session_id,
            started_at + to_milliseconds((1000 * (event_count + 1 + j) * gap_s)::bigint)
                as occurred_at,
            case
                when not is_connect then 'whitelist_join'
                when j = 0 then 'wallet_connect'
                else one_of(n, 'sales')
            end as conversion_type,
            case when j = 1 then round(100 + 800 * -ln(1 - share(n, 'usd')), 2) end as amount_usd,
            amount_usd * 3 as token_amount,
            case when j = 1 then token_symbol end as token_symbol,
            case when j = 1 then one_of(n, 'payments') end as payment_method,
            (event_count + 1 + j) * gap_s as time_to_convert,
            site_id,
            arrived_at
                + to_milliseconds((1000 * (event_count + 1 + j) * gap_s)::bigint + 20 + n % 900)
                as _appended_at
        from visits, range(1 + is_purchase::integer) as steps (j)
        where is_connect or (is_signup and n % 100 between 15 and 19)
    """,
    "ad_events": """
        with ads as (
            select
                $ad + i as n,
                $begin + to_microseconds(((i + share($ad + i, 'ad at')) / $ads * $span_us)::bigint)
                    as arrived_at,
                case
                    when share(n, 'ad member') < 0.3
                        -- as many visits as ads have gone by, but for their rates
                        then earlier_person(n * $visits_a_day // $ads_a_day, $visits_a_day, 'ad')
                end as person,
                one_of(n, 'ad_actions') as event
            from range($ads) as numbers (i)
        )

        select
            sites.tenant_id,
            'ad-' || hex_of(n, 'ad') as event_id,
            case
                when person is not null then 'u-' || hex_of(person, 'user')
                when share(n, 'stranger') < 0.86 then 'u-' || hex_of(n, 'stranger')
            end as user_id,
            arrived_at - late_by(n) as occurred_at,
            one_of(n, 'campaigns') as campaign_id,
            one_of(n, 'networks') as channel,
            event,
            case event
                when 'impression' then 0
                when 'click' then round(0.5 + 1.5 * share(n, 'cost'), 2)
                else round(5 + 15 * share(n, 'cost'), 2)
            end as cost,
            arrived_at + to_milliseconds(20 + n % 900) as _appended_at
        from ads
        inner join sites
            on sites.number
            = drawn(coalesce(person, n), 'site') % $sites
    """,
    "app_events": """
        with sessions as (
            select
                $app + i as n,
                $begin
                    + to_microseconds(((i + share($app + i, 'app at')) / $apps * $span_us)::bigint)
                    as arrived_at,
                earlier_person(n * $visits_a_day // $apps_a_day, $visits_a_day, 'app') as person,
                one_of(n, 'channels') as channel,
                1 + least(floor(-ln(1 - share(n, 'app length')) * 4.48)::integer, 60) as event_count
            from range($apps) as numbers (i)
        )

        select
            sites.tenant_id,
            'a-' || hex_of(n * 64 + j, 'app') as event_id,
            'u-' || hex_of(person, 'user') as user_id,
            case when channel != 'server' then 'd-' || hex_of(person, channel) end as device_id,
            case when channel != 'server' then 'as-' || hex_of(n, 'app session') end as session_id,
            arrived_at - late_by(n) + to_milliseconds(25000 * j) as occurred_at,
            channel,
            case
                when channel = 'web' and j = 0 then 'experiment_exposure'
                when channel = 'web' and j = 1 and share(person, 'goal') < 0.2
                    then 'checklist_completed'
                when channel = 'chat' then one_of(n * 64 + j, 'chat_actions')
                else one_of(n * 64 + j, 'app_actions')
            end as event_type,
            case when channel = 'web' then 'https://app.' || domain || '/'
                || one_of(n * 64 + j, 'screens') end
                as page_url,
            case when channel = 'mobile'
                then one_of(n * 64 + j, 'screens') end
                as screen_name,
            case when channel = 'chat' then 'c-' || hex_of(n, 'app session') end as conversation_id,
            case
                when event_type = 'experiment_exposure'
                    then '{"experiment_id": "onboarding_checklist", "variant": "'
                    || one_of(person, 'variants') || '"}'
                else '{"viewport": {"width": ' || 800 + n % 900 || '}}'
            end as properties,
            arrived_at + to_milliseconds(25000 * j + 20 + n % 900) as _appended_at
        from sessions
        inner join sites on sites.number = drawn(person, 'site') % $sites
        cross join range(event_count) as steps (j)
    """,
}
"""Contract -> its events of a slice; all but the last two read ``visits``."""


def filled(sql: str, values: Mapping[str, str | int]) -> str:
    """Return ``sql`` with each ``$name`` replaced by its value."""
    for name in sorted(values, key=len, reverse=True):
        sql = sql.replace(f"${name}", str(values[name]))
    return sql


def numbered_from(sql: str, bases: Sequence[int]) -> str:
    """Return the SQL of the same rows in the order they arrived, with partition and offset.

    ``bases`` is the next offset of each partition; the rows are dealt out in turns.
    """
    count = len(bases)
    return (
        f"select * exclude (_row), (_row % {count})::integer as _partition, "
        f"{list(bases)}[1 + (_row % {count})::integer] + _row // {count} as _offset from "
        f"(select *, row_number() over (order by _appended_at) - 1 as _row from ({sql})) "
        "order by _row"
    )
