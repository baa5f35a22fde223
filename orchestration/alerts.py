"""Alerts: one message when something starts to fail, one when it is well again.

What is sent and when is decided here; ``orchestration/alert_sensors.py`` asks for it when a run of
Dagster ends. Where it goes is Apprise's business: a webhook, e-mail, Slack and a hundred more,
each named by one URL.

Sending never raises and never waits long: an alert that cannot be sent is an error in the log,
and is tried again when the next run fails.
"""

from __future__ import annotations

import fcntl
import json
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from apprise import Apprise, NotifyFormat, NotifyType

logger = logging.getLogger(__name__)

LONGEST_BODY = 3000
"""Characters; what Slack takes in one block."""


@dataclass(frozen=True, slots=True)
class Alert:
    """One message to people."""

    title: str
    body: str
    """Markdown."""
    is_good: bool = False
    """It says that something is well again."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """Whether one URL took an alert."""

    place: str
    """Which URL, without its secrets: its number and its scheme."""
    error: str | None
    """Why it did not; None when it did."""


def send(urls: Sequence[str], alert: Alert) -> list[Delivery]:
    """Send ``alert`` to each URL; never raises."""
    return [
        Delivery(place, _send_one(url, alert))
        for url, place in zip(urls, _places(urls), strict=True)
    ]


def _places(urls: Sequence[str]) -> list[str]:
    return [f"{number} ({url.partition(':')[0]})" for number, url in enumerate(urls, 1)]


def _send_one(url: str, alert: Alert) -> str | None:
    try:
        target = Apprise()
        with warnings.catch_warnings():
            # The first URL makes Apprise load its services, one of which needs imghdr.
            warnings.simplefilter("ignore", DeprecationWarning)
            is_known = target.add(url)
        if not is_known:
            return "Apprise does not understand the URL"
        body = alert.body
        if len(body) > LONGEST_BODY:
            body = f"{body[:LONGEST_BODY]}\n... and more in Dagster"
        taken = target.notify(
            title=alert.title,
            body=body,
            notify_type=NotifyType.SUCCESS if alert.is_good else NotifyType.FAILURE,
            body_format=NotifyFormat.MARKDOWN,
        )
    except Exception as error:  # noqa: BLE001 - an alert must not become a failure of its own
        return f"{type(error).__name__}: {error}".replace(url, "the URL")
    return None if taken else "the service did not take it, or cannot be reached"


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is known to be failing."""

    problem: str
    """What fails, so that another problem of the same subject is told at once."""
    since: datetime
    """When it was first seen, UTC."""
    failures: int
    told_at: datetime | None
    """When people were last told of this problem, UTC; None when nobody could be."""
    was_told: bool
    """People know that the subject fails, by this problem or by one before it."""


class AlertBook:
    """Remembers what fails, in one JSON file, and decides who is told what."""

    def __init__(self, path: Path, urls: Sequence[str], repeat: timedelta) -> None:
        """Take the file of the memory, the URLs, and after how long a failure is told again."""
        self._path = path
        self._urls = tuple(urls)
        self._repeat = repeat

    def failed(self, subject: str, problem: str, alert: Alert, now: datetime) -> list[Delivery]:
        """Note that ``subject`` failed by ``problem``; tell it unless it was told of late.

        Returns:
            What became of the message; empty when none was due.
        """
        with self._memory() as troubles:
            known = troubles.get(subject)
            if known is None:
                known = Trouble(problem, now, 0, None, False)
            elif known.problem != problem:
                known = replace(known, problem=problem, told_at=None)
            known = replace(known, failures=known.failures + 1)
            troubles[subject] = known
            if known.told_at is not None and now < known.told_at + self._repeat:
                return []
            if known.failures > 1:
                told = f"This is failure {known.failures} since {known.since:%Y-%m-%d %H:%M} UTC."
                alert = replace(alert, body=f"{alert.body}\n\n{told}")
            sent = self._send(alert)
            if any(delivery.error is None for delivery in sent):
                troubles[subject] = replace(known, told_at=now, was_told=True)
            return sent

    def succeeded(self, subject: str, now: datetime) -> list[Delivery]:
        """Note that ``subject`` went well; tell it when people were told that it failed."""
        with self._memory() as troubles:
            known = troubles.get(subject)
            if known is None:
                return []
            if not known.was_told:
                del troubles[subject]
                return []
            times = "once" if known.failures == 1 else f"{known.failures} times"
            body = (
                f"It succeeded at {now:%Y-%m-%d %H:%M} UTC. Since {known.since:%Y-%m-%d %H:%M} UTC "
                f"it had failed {times}, last by {known.problem}."
            )
            sent = self._send(Alert(f"lakeward: {subject} is well again", body, is_good=True))
            if any(delivery.error is None for delivery in sent):
                del troubles[subject]
            return sent

    def _send(self, alert: Alert) -> list[Delivery]:
        sent = send(self._urls, alert)
        for delivery in sent:
            if delivery.error is not None:
                logger.error(
                    "alert not sent", extra={"url": delivery.place, "error": delivery.error}
                )
        return sent

    @contextmanager
    def _memory(self) -> Iterator[dict[str, Trouble]]:
        """Hand out what is remembered, one caller at a time, and keep what became of it."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            troubles = self._read()
            yield troubles
            draft = self._path.with_suffix(".new")
            document = {name: asdict(trouble) for name, trouble in troubles.items()}
            draft.write_text(json.dumps(document, default=datetime.isoformat))
            draft.replace(self._path)

    def _read(self) -> dict[str, Trouble]:
        """Return what the file says; what cannot be read is a new beginning, and is said."""
        try:
            document = json.loads(self._path.read_text())
            return {
                str(name): Trouble(
                    problem=str(known["problem"]),
                    since=datetime.fromisoformat(known["since"]),
                    failures=int(known["failures"]),
                    told_at=(
                        None
                        if known["told_at"] is None
                        else datetime.fromisoformat(known["told_at"])
                    ),
                    was_told=bool(known["was_told"]),
                )
                for name, known in document.items()
            }
        except FileNotFoundError:
            return {}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            logger.warning(
                "alerts begin anew", extra={"file": str(self._path), "error": str(error)}
            )
            return {}
