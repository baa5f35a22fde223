"""An address to listen on is read as people write it, and shown so that it can be opened."""

from __future__ import annotations

import pytest

from ingest.errors import ListenAddressError
from ingest.listen_address import ListenAddress


def read(text: str) -> ListenAddress:
    return ListenAddress.parse(text, setting="A_SETTING", example=9464)


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:9464", "127.0.0.1", 9464),
        ("9464", "127.0.0.1", 9464),
        (":9464", "", 9464),
        ("0.0.0.0:0", "0.0.0.0", 0),
        ("[::1]:9464", "::1", 9464),
        ("writer.internal:80", "writer.internal", 80),
    ],
)
def test_addresses_are_read_as_people_write_them(text: str, host: str, port: int) -> None:
    assert read(text) == ListenAddress(host, port)


@pytest.mark.parametrize("text", ["", "here", "127.0.0.1:", "127.0.0.1:70000", "a:b", "9464x"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ListenAddressError, match="no address"):
        read(text)


@pytest.mark.parametrize(
    ("text", "url"),
    [
        (":80", "http://127.0.0.1:80"),
        ("0.0.0.0:80", "http://127.0.0.1:80"),
        ("[::1]:80", "http://[::1]:80"),
        ("shop:80", "http://shop:80"),
    ],
)
def test_an_address_is_shown_as_a_client_here_opens_it(text: str, url: str) -> None:
    assert read(text).url == url
