"""Whether Dagster is well, asked at its page as a browser would."""

from __future__ import annotations

import json
import logging
import urllib.request
from typing import Final

from serving.watch import metrics
from serving.watch.reading import Sample

logger = logging.getLogger(__name__)

TIMEOUT_S: Final = 10
QUESTION: Final = (
    "{ instance { daemonHealth { allDaemonStatuses { daemonType required healthy } } } }"
)


def ask_dagster(url: str) -> list[Sample]:
    """Return for the page, and for each daemon that is needed, whether it is well."""
    request = urllib.request.Request(  # noqa: S310 - the operator says where
        f"{url.rstrip('/')}/graphql",
        data=json.dumps({"query": QUESTION}).encode(),
        headers={"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310
            document = json.load(answer)
        daemons = document["data"]["instance"]["daemonHealth"]["allDaemonStatuses"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        logger.warning("dagster_unanswered", extra={"why": str(error)})
        return [Sample(metrics.DAGSTER_UP, ("page",), 0)]
    return [
        Sample(metrics.DAGSTER_UP, ("page",), 1),
        *(
            Sample(metrics.DAGSTER_UP, (str(one["daemonType"]).lower(),), float(one["healthy"]))
            for one in daemons
            if one["required"]
        ),
    ]
