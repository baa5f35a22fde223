"""From a payload that a client sent to the message that goes to Kafka, or why not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import orjson

from ingest.collector import reasons
from ingest.collector.address import kept_address
from ingest.collector.check import EventCheck
from ingest.collector.limits import EventLimits, is_deeper
from ingest.collector.request_context import RequestContext
from ingest.collector.user_agent import client_of
from ingest.collector.utm import TAGS, utm_tags
from ingest.collector.verdict import Accepted, Rejected, Verdict
from ingest.contracts.exact import TENANT
from ingest.contracts.model import Contract
from ingest.message_key import join_key

_ORDERED_BY: Final = ("session_id", "device_id", "user_id")
"""What keeps its order where a contract asks for none, the first that an event has."""


@dataclass(frozen=True, slots=True)
class _Added:
    """What the events of one request get alike."""

    request: RequestContext
    is_from_server: bool
    always: dict[str, Any]
    unless_given: tuple[tuple[str, Any], ...]


class Intake:
    """Takes the events of one contract."""

    def __init__(self, contract: Contract, limits: EventLimits) -> None:
        self.contract = contract
        self._limits = limits
        self._check = EventCheck(contract)
        names = {field.name: field.payload_name for field in contract.fields}
        self._tenant = names[TENANT]
        self._ids = tuple(names[column] for column in contract.key if column != TENANT)
        self._has_own_order = set(contract.message_key) != set(contract.key)
        ordered = contract.message_key if self._has_own_order else ()
        self._key_names = tuple(names[column] for column in ordered)
        self._ordered_by = tuple(names[name] for name in _ORDERED_BY if name in names)
        self._received_at = names.get("received_at")
        self._request_id = names.get("request_id")
        self._write_key_id = names.get("write_key_id")
        self._ip = names.get("ip")
        self._user_agent = names.get("user_agent")
        self._browser = names.get("browser")
        self._os = names.get("os")
        self._device_type = names.get("device_type")
        self._page_url = names.get("page_url")
        self._latest: RequestContext | None = None
        self._added: _Added | None = None
        self._tags = tuple((tag, names[tag]) for tag in TAGS if tag in names)

    def take(
        self, members: dict[str, Any], request: RequestContext, *, is_from_server: bool = False
    ) -> Verdict:
        """Return the message for an event, or why there is none; changes ``members``.

        With ``is_from_server`` the request's own address and user agent are not the visitor's.
        """
        event_id = self._event_id(members)
        tenant_id = request.key.tenant.tenant_id
        claimed = members.get(self._tenant)
        if claimed is not None and claimed != tenant_id:
            detail = f"{self._tenant} is not the tenant of the write key"
            return self._rejected(reasons.FOREIGN_TENANT, detail, event_id)
        self._enrich(members, request, is_from_server)
        occurred_at = self._check.occurred_at(members)
        try:
            value = orjson.dumps(members)
        except TypeError:
            return self._too_deep(event_id)
        limits = self._limits
        if value.count(b"{") + value.count(b"[") > limits.max_depth and is_deeper(
            members, limits.max_depth
        ):
            return self._too_deep(event_id)
        if len(value) > limits.max_event_bytes:
            detail = f"{len(value)} bytes, the limit is {limits.max_event_bytes}"
            return self._rejected(reasons.TOO_LARGE, detail, event_id)
        if not self._check.is_surely_a_row(members, occurred_at):
            reject = self._check.exactly(value)
            if reject is not None:
                return self._rejected(reject.reason, reject.detail, event_id)
        if occurred_at is not None:
            age = request.received_micros - occurred_at
            if age > limits.max_age_micros:
                return self._rejected(reasons.TOO_OLD, f"{age / 8.64e10:.0f} days ago", event_id)
            if -age > limits.max_ahead_micros:
                detail = f"{-age / 3.6e9:.1f} hours ahead of the collector's clock"
                return self._rejected(reasons.TOO_FAR_AHEAD, detail, event_id)
        return Accepted(
            event_id or "", self.contract.name, self.contract.topic, self._key(members), value
        )

    def _enrich(
        self, members: dict[str, Any], request: RequestContext, is_from_server: bool
    ) -> None:
        if request is not self._latest:  # it may be the only event: nothing to work out for others
            self._latest = request
            self._add_claimed(members, request, is_from_server)
        elif (self._user_agent is not None and members.get(self._user_agent) is not None) or (
            self._ip is not None and members.get(self._ip)
        ):
            self._add_claimed(members, request, is_from_server)
        else:
            added = self._added
            if (
                added is None
                or added.request is not request
                or added.is_from_server != is_from_server
            ):
                added = self._added = self._of_request(request, is_from_server)
            members.update(added.always)
            for name, value in added.unless_given:
                if name not in members:
                    members[name] = value
        if self._tags and self._page_url is not None:
            url = members.get(self._page_url)
            if isinstance(url, str) and "utm_" in url:
                found = utm_tags(url)
                for tag, name in self._tags:
                    if tag in found:
                        members.setdefault(name, found[tag])

    def _of_request(self, request: RequestContext, is_from_server: bool) -> _Added:
        """Return what each event of a request gets that says nothing of its client itself."""
        given: dict[str, Any] = {}
        self._add_claimed(given, request, is_from_server)
        parsed = (self._browser, self._os, self._device_type)
        unless_given = tuple((name, given.pop(name)) for name in parsed if name in given)
        return _Added(request, is_from_server, given, unless_given)

    def _add_claimed(
        self, members: dict[str, Any], request: RequestContext, is_from_server: bool
    ) -> None:
        """Add what is known of the request, and of the client that the event itself names."""
        members[self._tenant] = request.key.tenant.tenant_id
        if self._received_at is not None:
            members[self._received_at] = request.received_at
        if self._request_id is not None:
            members[self._request_id] = request.request_id
        if self._write_key_id is not None:
            members[self._write_key_id] = request.key.key_id
        privacy = request.key.tenant.privacy
        if self._ip is not None:
            peer = None if is_from_server else request.peer
            _put(members, self._ip, kept_address(members.get(self._ip), peer, privacy.ip))
        if self._user_agent is not None:
            agent = members.get(self._user_agent)
            if not isinstance(agent, str):
                agent = None if is_from_server else request.user_agent
            if agent is not None:
                self._describe_client(members, agent)
            _put(members, self._user_agent, agent if privacy.user_agent == "keep" else None)

    def _describe_client(self, members: dict[str, Any], agent: str) -> None:
        client = client_of(agent)
        if self._browser is not None and client.browser is not None:
            members.setdefault(self._browser, client.browser)
        if self._os is not None and client.os is not None:
            members.setdefault(self._os, client.os)
        if self._device_type is not None and client.device_type is not None:
            members.setdefault(self._device_type, client.device_type)

    def _event_id(self, members: dict[str, Any]) -> str | None:
        if len(self._ids) == 1:
            found = members.get(self._ids[0])
            return found if type(found) is str else None
        values = [members.get(name) for name in self._ids]
        return "|".join(map(str, values)) if all(type(v) is str for v in values) else None

    def _key(self, members: dict[str, Any]) -> bytes:
        if self._has_own_order:
            return join_key([members.get(name) for name in self._key_names])
        for name in self._ordered_by:
            value = members.get(name)
            if type(value) is str and value:
                return f"{members[self._tenant]}|{value}".encode()
        return join_key([members[self._tenant], *(members.get(name) for name in self._ids)])

    def _too_deep(self, event_id: str | None) -> Rejected:
        detail = f"nests deeper than {self._limits.max_depth} levels"
        return self._rejected(reasons.TOO_DEEP, detail, event_id)

    def _rejected(self, reason: reasons.Reason, detail: str, event_id: str | None) -> Rejected:
        return Rejected(reason, detail, event_id, self.contract.name)


def _put(members: dict[str, Any], name: str, value: str | None) -> None:
    if value is None:
        members.pop(name, None)
    else:
        members[name] = value
