"""The endpoints that take events: authenticate, read, check, make durable, answer."""

from __future__ import annotations

import logging
import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from time import perf_counter
from typing import Any, Final, Protocol

from starlette.types import Receive, Scope, Send

from ingest.collector import reasons, segment
from ingest.collector.admission import Admission
from ingest.collector.answer import (
    Cors,
    RawHeaders,
    send_json,
    send_preflight,
    send_refusal,
    verdicts_document,
)
from ingest.collector.body import ClientGoneError, announced_size, read_body
from ingest.collector.credentials import secret_in_body, secret_in_headers
from ingest.collector.intake import Intake
from ingest.collector.numbers import read_json
from ingest.collector.outbox import Outbox
from ingest.collector.own_form import read_entry
from ingest.collector.record import Record
from ingest.collector.refusal import Refusal
from ingest.collector.request_context import RequestContext
from ingest.collector.token_bucket import RateLimits
from ingest.collector.turns import Turns
from ingest.collector.verdict import Accepted, Rejected, Verdict
from ingest.collector.watch import CollectorWatch
from ingest.contracts.json_text import NotJsonError
from ingest.errors import SpillFullError
from ingest.tenants.model import WriteKey

logger = logging.getLogger(__name__)

BUSY_SECONDS: Final = 1.0
FULL_SECONDS: Final = 10.0
REGISTRY_SECONDS: Final = 10.0
"""When to try again: after a moment of too much at once, and after Kafka or the registry was away
for long."""

LARGE: Final = 8 * 1024
"""Bytes of a body from which on requests take turns: about 20 events."""

_random: Final = random.Random()  # noqa: S311 - ids of requests are no secrets, only apart
_NOBODY: Final = ""
"""Stands for the tenant of a request that has not said yet who it is from."""


class Keys(Protocol):
    """Knows write keys."""

    def authenticate(self, secret: str) -> WriteKey | None:
        """Return the key that ``secret`` is."""
        ...

    @property
    def age_seconds(self) -> float:
        """How old what it knows is."""
        ...

    @property
    def is_too_old(self) -> bool:
        """True when that should not be used any more."""
        ...


@dataclass(frozen=True, slots=True)
class Parts:
    """What the endpoints share."""

    keys: Keys
    intakes: Mapping[str, Intake]
    """By the contract's name."""
    outbox: Outbox
    rates: RateLimits
    admission: Admission
    watch: CollectorWatch
    cors: Cors
    now: Callable[[], datetime]
    max_body_bytes: int
    max_batch: int
    turns: Turns = field(default_factory=Turns)
    new_request_id: Callable[[], str] = field(default=lambda: f"{_random.getrandbits(128):032x}")


class Collecting(ABC):
    """An ASGI endpoint that takes events; its children know the forms they come in."""

    def __init__(self, parts: Parts, route: str) -> None:
        self._parts = parts
        self._route = route

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        parts = self._parts
        request_id = parts.new_request_id()
        headers = dict(scope["headers"])
        answer: RawHeaders = [(b"x-request-id", request_id.encode())]
        if b"origin" in headers:
            answer += parts.cors.headers(headers[b"origin"])
        if scope["method"] == "OPTIONS":
            await send_preflight(send, answer)
            return
        status: int
        try:
            status, document = await self._collect(request_id, scope, headers, receive)
            await send_json(send, status, document, answer)
        except Refusal as refusal:
            status = refusal.status
            await send_refusal(send, refusal, request_id, answer)
        except ClientGoneError:
            status = 499
        except Exception as error:  # noqa: BLE001 - the client gets an answer, the log what happened
            # the message of an exception may quote a payload: its type and place are enough
            status = HTTPStatus.INTERNAL_SERVER_ERROR
            logger.error("request_failed", extra=_where(error, request_id))
            failure = Refusal(HTTPStatus(status), "internal", "the collector failed; send it again")
            await send_refusal(send, failure, request_id, answer)
        parts.watch.requests.add(1, (self._route, int(status)))

    async def _collect(
        self, request_id: str, scope: Scope, headers: Mapping[bytes, bytes], receive: Receive
    ) -> tuple[int, dict[str, Any]]:
        parts = self._parts
        length = headers.get(b"content-length")
        if length is None and b"transfer-encoding" not in headers:
            size = 0
        else:
            size = announced_size(
                None if length is None else length.decode("latin-1"), parts.max_body_bytes
            )
        secret = secret_in_headers(headers)
        key = None if secret is None else self._authenticate(secret)
        holder = _NOBODY if key is None else key.tenant.tenant_id
        if not parts.admission.admits(holder, size):
            raise Refusal(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "busy",
                "too much is being worked on; send it again",
                retry_after=BUSY_SECONDS,
            )
        parts.admission.hold(holder, size)
        try:
            encoding = headers.get(b"content-encoding")
            body = await read_body(
                receive,
                None if encoding is None else encoding.decode("latin-1"),
                parts.max_body_bytes,
            )
            parts.watch.body_bytes.add(len(body))
            if len(body) > LARGE:
                async with parts.turns.turn(holder):
                    verdicts, request = self._judged(request_id, scope, headers, body, key)
            else:
                verdicts, request = self._judged(request_id, scope, headers, body, key)
            accepted = await self._keep(verdicts, request)
        finally:
            parts.admission.release(holder, size)
        return self.status_of(len(verdicts), accepted), self.document_of(
            verdicts_document(request_id, verdicts, accepted)
        )

    def _judged(
        self,
        request_id: str,
        scope: Scope,
        headers: Mapping[bytes, bytes],
        body: bytes,
        key: WriteKey | None,
    ) -> tuple[list[Verdict], RequestContext]:
        try:
            document = read_json(body)
        except NotJsonError as error:
            raise Refusal(HTTPStatus.BAD_REQUEST, "not_json", str(error)) from None
        if key is None:
            secret = self.secret_of(document)
            if secret is None:
                raise _unauthorized(
                    "the request has no write key: send it as X-Write-Key, as a bearer token, or "
                    "as the user of HTTP basic authentication"
                )
            key = self._authenticate(secret)
        agent = headers.get(b"user-agent")
        client = scope.get("client")
        request = RequestContext.at(
            self._parts.now(),
            request_id=request_id,
            key=key,
            peer=None if client is None else client[0],
            user_agent=None if agent is None else agent.decode("latin-1"),
        )
        return self.judge(document, request), request

    def _authenticate(self, secret: str) -> WriteKey:
        if self._parts.keys.is_too_old:
            raise registry_away()
        key = self._parts.keys.authenticate(secret)
        if key is None:
            raise _unauthorized("the write key is not known, or it has ended")
        if not key.tenant.may_send:
            raise Refusal(
                HTTPStatus.FORBIDDEN, "tenant_not_active", f"the tenant is {key.tenant.status}"
            )
        wait = self._parts.rates.take(key)
        if wait > 0.0:
            raise Refusal(
                HTTPStatus.TOO_MANY_REQUESTS,
                "too_many_requests",
                "more requests a second than the quota of the tenant or its key allows",
                retry_after=wait,
            )
        return key

    async def _keep(self, verdicts: Sequence[Verdict], request: RequestContext) -> int:
        """Make the accepted events durable; return how many there are."""
        watch, headers = self._parts.watch, request.headers
        records: list[Record] = []
        counts: dict[str, int] = {}
        for verdict in verdicts:
            if type(verdict) is Accepted:
                records.append(Record(verdict.topic, verdict.key, verdict.value, headers))
                counts[verdict.contract] = counts.get(verdict.contract, 0) + 1
            elif type(verdict) is Rejected:
                watch.rejected.add(1, (verdict.reason,))
        if records:
            began = perf_counter()
            try:
                await self._parts.outbox.put(records)
            except SpillFullError:
                raise Refusal(
                    HTTPStatus.SERVICE_UNAVAILABLE,
                    "cannot_keep",
                    "Kafka is away and the disk takes no more; send it again",
                    retry_after=FULL_SECONDS,
                ) from None
            watch.durable_seconds.observe(perf_counter() - began)
            for contract, count in counts.items():
                watch.accepted.add(count, (contract,))
        return len(records)

    def _check_count(self, count: int) -> None:
        if count > self._parts.max_batch:
            raise Refusal(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                "too_many_events",
                f"{count} events, the limit is {self._parts.max_batch}",
            )

    def secret_of(self, _document: Any) -> str | None:
        """Return the write key that a body holds."""
        return None

    @abstractmethod
    def judge(self, document: Any, request: RequestContext) -> list[Verdict]:
        """Return the verdict on each event of a body.

        Raises:
            Refusal: the body holds no events, or too many.
        """

    @abstractmethod
    def status_of(self, count: int, accepted: int) -> int:
        """Return the status of the answer about ``count`` events."""

    def document_of(self, document: dict[str, Any]) -> dict[str, Any]:
        """Return the answer's document."""
        return document


class Analytics(Collecting):
    """``POST /analytics``: lakeward's own form, one entry or a list of them."""

    def judge(self, document: Any, request: RequestContext) -> list[Verdict]:
        """Return the verdict on each entry."""
        entries = document if type(document) is list else [document]
        self._check_count(len(entries))
        if not entries:
            raise Refusal(HTTPStatus.BAD_REQUEST, "no_events", "the body is an empty list")
        return [self._of_entry(entry, request) for entry in entries]

    def status_of(self, count: int, accepted: int) -> int:
        """Return 200 when all are accepted, 207 when some are, 422 when none is."""
        if accepted == count:
            return HTTPStatus.OK
        return HTTPStatus.MULTI_STATUS if accepted else HTTPStatus.UNPROCESSABLE_ENTITY

    def _of_entry(self, entry: object, request: RequestContext) -> Verdict:
        read = read_entry(entry)
        if isinstance(read, Rejected):
            return read
        name, payload = read
        intake = self._parts.intakes.get(name)
        if intake is None:
            names = ", ".join(sorted(self._parts.intakes))
            return Rejected(
                reasons.UNKNOWN_CONTRACT, f"no contract has this name; there are {names}"
            )
        if not request.key.may_send(name):
            return _not_allowed(name)
        return intake.take(payload, request, is_from_server=payload.get("channel") == "server")


class Segment(Collecting):
    """Segment's API: one message, or a batch of them."""

    def __init__(self, parts: Parts, route: str, message_type: str | None) -> None:
        super().__init__(parts, route)
        self._type = message_type
        """None for a batch."""

    def secret_of(self, _document: Any) -> str | None:
        """Return ``writeKey`` of the body."""
        return secret_in_body(_document)

    def judge(self, document: Any, request: RequestContext) -> list[Verdict]:
        """Return the verdict on each message."""
        if self._type is not None:
            return [self._of_message(document, request, None, self._type)]
        messages = document.get("batch") if type(document) is dict else None
        if type(messages) is not list or not messages:
            raise Refusal(HTTPStatus.BAD_REQUEST, "no_events", "batch is no list of messages")
        self._check_count(len(messages))
        shared = document.get("context")
        if type(shared) is dict:
            messages = [_with_context(message, shared) for message in messages]
        sent_at = document.get("sentAt")
        return [self._of_message(message, request, sent_at, None) for message in messages]

    def status_of(self, _count: int, accepted: int) -> int:
        """Return 200, or 400 when none is accepted.

        Segment's libraries send everything again after a status that they do not know, so an
        answer for a part of a batch is 200 too; the body has the verdicts.
        """
        return HTTPStatus.OK if accepted else HTTPStatus.BAD_REQUEST

    def document_of(self, document: dict[str, Any]) -> dict[str, Any]:
        """Add what Segment's libraries look for."""
        if document["accepted"]:
            return {"success": True, **document}
        first = document["events"][0]
        told = {"success": False, "code": first["reason"], "message": first["detail"]}
        return told | document

    def _of_message(
        self, message: object, request: RequestContext, sent_at: object, kind: str | None
    ) -> Verdict:
        if not request.key.may_send(segment.CONTRACT):
            return _not_allowed(segment.CONTRACT)
        payload = segment.payload_of(message, request, sent_at=sent_at, message_type=kind)
        if isinstance(payload, Rejected):
            return payload
        from_server = isinstance(message, dict) and segment.is_from_server(message)
        intake = self._parts.intakes[segment.CONTRACT]
        return intake.take(payload, request, is_from_server=from_server)


def _with_context(message: object, shared: dict[str, Any]) -> object:
    """Return a message with what its batch says of all messages."""
    if not isinstance(message, dict):
        return message
    own = message.get("context")
    return {**message, "context": {**shared, **(own if isinstance(own, dict) else {})}}


def _not_allowed(contract: str) -> Rejected:
    detail = "the write key may not send events of this contract"
    return Rejected(reasons.CONTRACT_NOT_ALLOWED, detail, None, contract)


def registry_away() -> Refusal:
    """Return the refusal of a key that cannot be looked up any more."""
    return Refusal(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "registry_away",
        "the registry of write keys is away for too long; send it again",
        retry_after=REGISTRY_SECONDS,
    )


def _unauthorized(message: str) -> Refusal:
    return Refusal(HTTPStatus.UNAUTHORIZED, "unauthorized", message)


def _where(error: BaseException, request_id: str) -> dict[str, object]:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = None if trace is None else f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
    return {"error": type(error).__name__, "at": place, "request_id": request_id}
