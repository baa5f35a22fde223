"""Child processes that do not outlive the one that started them."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

_LAUNCH = """
import ctypes, os, signal, sys
PR_SET_PDEATHSIG = 1
ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
if os.getppid() != int(sys.argv[1]):
    sys.exit(1)  # the parent was gone before the wish was made
os.execvp(sys.argv[2], sys.argv[2:])
"""
"""Runs in the child before the program does; the kernel keeps the wish across exec (prctl(2))."""


def dies_with_parent(command: Sequence[str]) -> list[str]:
    """Return ``command`` wrapped so that the kernel kills it when its parent ends, even by SIGKILL.

    The parent is the thread that starts it: start it from one that lives as long as the child
    should. Only Linux can do this; elsewhere the command comes back as it is.
    """
    if sys.platform != "linux":
        return list(command)
    return [sys.executable, "-I", "-S", "-c", _LAUNCH, str(os.getpid()), *command]
