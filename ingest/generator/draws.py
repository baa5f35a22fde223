"""Drawing many values at once, as the lists that payloads are built from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Ints: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]
Flags: TypeAlias = NDArray[np.bool_]
Objects: TypeAlias = NDArray[np.object_]


def objects(values: Sequence[Any]) -> Objects:
    """Return values as an array of Python objects, so that indexing it is one fast call."""
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def pick(rng: np.random.Generator, weights: Sequence[float] | Floats, count: int) -> Ints:
    """Draw ``count`` indices into ``weights``, each as likely as its weight says."""
    edges = np.cumsum(np.asarray(weights, dtype=np.float64))
    drawn = np.searchsorted(edges, rng.random(count) * edges[-1], side="right")
    return np.asarray(np.minimum(drawn, len(edges) - 1), dtype=np.int64)


def only_where(flags: Flags, values: NDArray[Any]) -> Objects:
    """Return the values as Python objects, None where the flag is not set."""
    kept = values.astype(object)
    kept[~flags] = None
    return kept


def hex_ids(rng: np.random.Generator, count: int, size: int = 8) -> list[str]:
    """Draw ids of ``size`` random bytes, written in hexadecimal."""
    digits = rng.bytes(size * count).hex()
    step = 2 * size
    return [digits[i : i + step] for i in range(0, step * count, step)]


def uuids(rng: np.random.Generator, count: int) -> list[str]:
    """Draw ids in the usual form of a UUID; all 128 bits are random."""
    return [
        f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}" for h in hex_ids(rng, count, size=16)
    ]


def iso_times(at_ms: Ints) -> list[str]:
    """Write times as ISO 8601 in UTC with milliseconds."""
    times = at_ms.astype("datetime64[ms]")
    return [f"{text}Z" for text in np.datetime_as_string(times, unit="ms").tolist()]
