"""Runs a command that must not outlive the process which started it.

``python tether.py PARENT COMMAND...`` asks the kernel (Linux: PR_SET_PDEATHSIG, which outlives
exec) for a SIGTERM at the parent's death and then becomes the command. Elsewhere it only becomes
the command. It is a program of its own because a ``preexec_fn`` is not safe beside threads.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
GONE = 1


def main(arguments: list[str]) -> None:
    """Become ``arguments[1:]``, tied to the process ``arguments[0]``."""
    parent, command = int(arguments[0]), arguments[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it died before the kernel was asked
            sys.exit(GONE)
    os.execvp(command[0], command)  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main(sys.argv[1:])
