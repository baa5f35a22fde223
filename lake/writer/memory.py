"""Memory that is given back as soon as it is free.

A writer allocates and frees blocks of megabytes many times a second, from several threads. glibc's
default is to keep such blocks for later, each arena its own, and to raise the size from which a
block is mapped alone up to 32 MB as it sees them come and go; a writer at full speed held nearly
twice what it used. See mallopt(3), M_MMAP_THRESHOLD and
M_TRIM_THRESHOLD.
"""

from __future__ import annotations

import ctypes
import logging
import sys
from typing import Final

import pyarrow as pa

logger = logging.getLogger(__name__)

MAPPED_ALONE_BYTES: Final = 1 << 20
"""A block from this size on goes back to the system when it is freed. What the writer makes of one
poll stays just below, since memory that is used again costs no page faults."""

_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3


def give_back_freed_memory() -> bool:
    """Set up this process's allocators, for its whole life; False where there is no way to.

    Call it once, in the entry point of a process that only writes. Without glibc (macOS, musl) the
    allocators stay as they are.
    """
    pa.set_memory_pool(pa.system_memory_pool())
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        logger.info("allocator_kept", extra={"why": "the C library has no mallopt"})
        return False
    options = (_M_MMAP_THRESHOLD, _M_TRIM_THRESHOLD)
    return all(mallopt(option, MAPPED_ALONE_BYTES) for option in options)
