"""Is the broker there, and if not, why not, in one sentence."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterable

from confluent_kafka import KafkaError, KafkaException

from ingest.connection import client_config, connect
from ingest.errors import BrokerError
from ingest.settings import IngestSettings

REACH_TIMEOUT_S = 10.0

_NO_USE_WAITING = frozenset(
    {
        KafkaError._AUTHENTICATION,
        KafkaError._RESOLVE,
        KafkaError._SSL,
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError.UNSUPPORTED_SASL_MECHANISM,
    }
)


def check_reachable(settings: IngestSettings, *, timeout_s: float = REACH_TIMEOUT_S) -> None:
    """Return when the broker answers and can be talked to.

    Raises:
        BrokerError: it does not within ``timeout_s``, or sooner when waiting cannot help
            (a wrong name, password or certificate); says which address and why.
    """
    config = client_config(settings)
    servers = str(config["bootstrap.servers"])
    failures: list[KafkaError] = []
    quiet = {"log_level": 0, "reconnect.backoff.ms": 300, "reconnect.backoff.max.ms": 1000}
    admin = connect({**config, **quiet, "error_cb": failures.append})
    deadline = time.monotonic() + timeout_s
    while True:
        left = deadline - time.monotonic()
        try:
            metadata = admin.list_topics(timeout=max(0.1, min(1.0, left)))
        except KafkaException as error:
            admin.poll(0)
            final = next((f for f in failures if f.code() in _NO_USE_WAITING), None)
            if final is not None or time.monotonic() >= deadline:
                elsewhere = _advertised_elsewhere(servers, failures)
                if final is None and elsewhere:
                    raise _wrongly_advertised(servers, elsewhere) from None
                named = [f for f in failures if f.code() != KafkaError._ALL_BROKERS_DOWN]
                raise _unreachable(servers, final or (named or [error.args[0]])[-1]) from None
            continue
        break
    _check_advertised(servers, [(str(b.host), b.port) for b in metadata.brokers.values()])


def _unreachable(servers: str, error: KafkaError) -> BrokerError:
    hint = {
        KafkaError._AUTHENTICATION: "Look at KAFKA_SASL_MECHANISM, KAFKA_SASL_USERNAME and "
        "KAFKA_SASL_PASSWORD.",
        KafkaError._RESOLVE: "Is the host name in KAFKA_BOOTSTRAP_SERVERS right?",
        KafkaError._SSL: "Look at KAFKA_SECURITY_PROTOCOL and KAFKA_SSL_CA_LOCATION (the file of "
        "the authority that signed the broker's certificate).",
    }.get(
        error.code(),
        "Is the broker running, is KAFKA_BOOTSTRAP_SERVERS right, and does "
        "KAFKA_SECURITY_PROTOCOL fit its listener?",
    )
    return BrokerError(f"cannot reach Kafka at {servers}: {_reason(error)}", hint=hint)


def _reason(error: KafkaError) -> str:
    """Return librdkafka's words without its thread names and timings."""
    text = re.sub(r"^(?:\w+://)?\S+?/(?:bootstrap|\d+): ", "", error.str())
    text = re.sub(r" \(after \d+ms in state \w+[^)]*\)", "", text)
    return re.sub(r"ipv[46]#", "", text)


def _check_advertised(servers: str, brokers: list[tuple[str, int]]) -> None:
    """Refuse a cluster that answers but sends its clients to addresses they cannot reach."""
    for host, port in brokers:
        try:
            socket.create_connection((host, port), timeout=3).close()
        except OSError:
            continue
        return
    raise _wrongly_advertised(servers, [f"{host}:{port}" for host, port in brokers])


def _advertised_elsewhere(servers: str, failures: Iterable[KafkaError]) -> list[str]:
    """Return the addresses that only the cluster can have named, out of librdkafka's complaints.

    It writes ``host:port/bootstrap`` for an address of ours and ``host:port/<node id>`` for one
    that a broker's answer held.
    """
    named = (re.match(r"(?:\w+://)?(\S+)/\d+: ", failure.str()) for failure in failures)
    addresses = {match[1] for match in named if match is not None}
    return sorted(addresses - {server.strip() for server in servers.split(",")})


def _wrongly_advertised(servers: str, addresses: list[str]) -> BrokerError:
    return BrokerError(
        f"Kafka at {servers} answers, but sends clients on to "
        f"{', '.join(addresses) or 'no broker at all'}, which this machine cannot reach",
        hint="Set the broker's advertised.listeners to an address that this machine can reach.",
    )
