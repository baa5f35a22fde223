"""A client's network address, as far as its tenant keeps it."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address

from ingest.tenants.model import IpSetting

KEPT_BITS_OF_IPV4 = 24
KEPT_BITS_OF_IPV6 = 48


def kept_address(claimed: object, peer: str | None, setting: IpSetting) -> str | None:
    """Return the address to keep: the one that the event names, else that of the connection.

    ``truncate`` sets the last octet of an IPv4 address, and all but the first 48 bits of an IPv6
    address, to zero. What is no address is not kept at all: it might be anything.
    """
    if setting == "drop":
        return None
    text = claimed if isinstance(claimed, str) and claimed else peer
    return None if text is None else _kept(text, setting == "truncate")


@lru_cache(maxsize=8192)
def _kept(text: str, is_truncated: bool) -> str | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if not is_truncated:
        return str(address)
    if isinstance(address, IPv4Address):
        shift = 32 - KEPT_BITS_OF_IPV4
        return str(IPv4Address(int(address) >> shift << shift))
    shift = 128 - KEPT_BITS_OF_IPV6
    return str(IPv6Address(int(address) >> shift << shift))
