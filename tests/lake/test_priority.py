"""A build's thread gives way, and no other."""

from __future__ import annotations

import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from lake.priority import give_way

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="niceness of a thread is Linux's")


def niceness() -> int:
    """Return that of the calling thread."""
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


def test_holds_for_the_thread_and_those_that_it_starts() -> None:
    before = niceness()

    def work() -> tuple[int, int]:
        give_way(17)
        with ThreadPoolExecutor(1) as pool:
            return niceness(), pool.submit(niceness).result()

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(work).result() == (max(17, before), max(17, before))
    assert niceness() == before


def test_what_is_there_is_never_lowered() -> None:
    def work() -> int:
        give_way(19)
        give_way(3)
        return niceness()

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(work).result() == 19
