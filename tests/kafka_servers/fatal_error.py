"""Makes a producer fail for good, by the door that librdkafka has for tests of it.

``rd_kafka_test_fatal_error`` does what a broker's answer does that ends an idempotent producer:
https://docs.confluent.io/platform/current/clients/librdkafka/html/rdkafka_8h.html. The Python
client does not hand it on, so it is called in the library that the client has loaded, with the
handle that its object begins with.
"""

from __future__ import annotations

import ctypes
import os
from functools import cache
from pathlib import Path

from confluent_kafka import KafkaError, Producer


def fail_for_good(producer: Producer) -> None:
    """Let a producer fail as if a broker had missed a message of it."""
    handle = ctypes.c_void_p.from_address(id(producer) + object.__basicsize__)
    code = _library().rd_kafka_test_fatal_error(
        handle, KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER, b"injected"
    )
    assert code == 0, "it had failed already"


@cache
def _library() -> ctypes.CDLL:
    """Return librdkafka as this process has it loaded (Linux: the file is named in /proc)."""
    mapped = Path(f"/proc/{os.getpid()}/maps").read_text().splitlines()
    path = next(line.split()[-1] for line in mapped if "librdkafka" in line)
    library = ctypes.CDLL(path)
    library.rd_kafka_test_fatal_error.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p]
    library.rd_kafka_test_fatal_error.restype = ctypes.c_int
    return library
