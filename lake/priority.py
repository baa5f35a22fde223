"""How much of a busy machine a build takes from what answers people and takes events in."""

from __future__ import annotations

import os
import sys
import threading


def give_way(niceness: int) -> None:
    """Let everything else that wants the processor go before the calling thread.

    Holds for the thread and those that it starts from now on, on Linux; for the whole process on
    other systems that know niceness, and nowhere else. It cannot be taken back without rights, so
    the thread, or the process, is best one that ends with its work.

    Args:
        niceness: from 0, as everything else, to 19; what is there already is never lowered
            (POSIX ``setpriority``; on Linux of a thread, see ``sched(7)``).
    """
    if not hasattr(os, "setpriority"):
        return
    thread = threading.get_native_id() if sys.platform == "linux" else 0
    if os.getpriority(os.PRIO_PROCESS, thread) < niceness:
        os.setpriority(os.PRIO_PROCESS, thread, niceness)
