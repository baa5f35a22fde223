from __future__ import annotations

import pytest

from ingest.importer.user_agent import browser, device_type

WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko)"


@pytest.mark.parametrize(
    ("user_agent", "family", "device"),
    [
        (f"Mozilla/5.0 (Windows NT 6.1) {WEBKIT} Chrome/32.0 Safari/537.36", "Chrome", "desktop"),
        (f"Mozilla/5.0 (Windows NT 10.0) {WEBKIT} Chrome/120.0 Edg/120.0", "Edge", "desktop"),
        (f"Mozilla/5.0 (Windows NT 10.0) {WEBKIT} Chrome/60.0 Edge/15", "Edge", "desktop"),
        ("Mozilla/5.0 (X11; Linux) Gecko/20100101 Firefox/27.0", "Firefox", "desktop"),
        ("Mozilla/5.0 (compatible; MSIE 9.0; Trident/5.0)", "Internet Explorer", "desktop"),
        ("Mozilla/5.0 (iPad; CPU OS 7_0) Version/7.0 Mobile/11B Safari/9537", "Safari", "tablet"),
        ("Mozilla/5.0 (iPhone) Version/7.0 Mobile/11B Safari/9537", "Safari", "mobile"),
        (f"Mozilla/5.0 (Linux; Android 4.4) {WEBKIT} Chrome/33.0 Mobile", "Chrome", "mobile"),
        (f"Mozilla/5.0 (Linux; Android 4.4) {WEBKIT} Chrome/33.0 Safari", "Chrome", "tablet"),
        ("Opera/9.80 (Windows NT 6.1) Presto/2.12 Version/12.16", "Opera", "desktop"),
        ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "bot", None),
        ("curl/7.35.0", "bot", None),
        ("Tiny Tiny RSS/1.11 (reader)", "bot", None),
        ("something new", "other", "desktop"),
    ],
)
def test_a_user_agent_is_read(user_agent: str, family: str, device: str | None) -> None:
    assert browser(user_agent) == family
    assert device_type(user_agent) == device
