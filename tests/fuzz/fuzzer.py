"""A fuzzer of decoding: mutates messages, judges what becomes of each, keeps what was new.

    make fuzz SECONDS=600 SEED=7

The same seed makes the same messages in the same order. What is found is made as short as it
goes and written to ``tests/fuzz/found/``; once mended, it moves to ``tests/fuzz/corpus/``.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import logging
import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ingest.contracts.model import Contract
from ingest.contracts.registry import load_contracts
from tests.fuzz.judge import Broken, Judge, Verdict
from tests.fuzz.mutate import Mutator, seeds_of
from tests.lake.writer.decoding import GOOD, PROBE, payload

HERE: Final = Path(__file__).parent
BATCH: Final = 64
"""Messages that are decoded together; those after a broken one take other ways through the code."""
MOST_KEPT: Final = 4000
MOST_TRIES: Final = 150
"""How often a shorter message is tried."""


def contracts() -> list[Contract]:
    """Return a contract with every kind of field and odd names, and those that are shipped."""
    return [PROBE, *load_contracts(None)]


def corpus() -> list[bytes]:
    """Return the nasty messages that are kept, in the order of their names."""
    return [file.read_bytes() for file in sorted((HERE / "corpus").iterdir())]


@dataclass
class Fuzzer:
    """One contract's share of a run."""

    judge: Judge
    mutator: Mutator
    pool: list[bytes]
    seen: set[Verdict]
    messages: int = 0

    @classmethod
    def of(cls, contract: Contract, seed: int) -> Fuzzer:
        """Begin with what the contract describes and with the corpus."""
        draw = random.Random(f"{seed} {contract.name}")
        tenants = frozenset({str(GOOD["tenant_id"])}) if draw.random() < 0.5 else None
        pool = [*seeds_of(contract), *corpus()]
        if contract is PROBE:
            pool.append(payload())
        return cls(Judge(contract, tenants), Mutator(draw, contract), pool, set())

    def step(self) -> None:
        """Judge one batch of new messages.

        Raises:
            Broken: a promise of decoding was not kept.
        """
        payloads = [self.mutator.mutated(self.pool) for _ in range(BATCH)]
        for one, verdict in zip(payloads, self.judge.judge(payloads), strict=True):
            if verdict not in self.seen and len(self.pool) < MOST_KEPT:
                self.seen.add(verdict)
                self.pool.append(one)
        self.messages += len(payloads)


def fuzz(seed: int, is_over: Callable[[int], bool]) -> list[Fuzzer]:
    """Fuzz every contract in turns until ``is_over``, which is told the number of messages.

    Raises:
        Broken: a promise of decoding was not kept; the message that shows it is as short as could
            be, and the corpus lacks it.
    """
    fuzzers = [Fuzzer.of(contract, seed) for contract in contracts()]
    for fuzzer in itertools.cycle(fuzzers):
        if is_over(sum(one.messages for one in fuzzers)):
            return fuzzers
        state = fuzzer.mutator._draw.getstate()
        try:
            fuzzer.step()
        except Broken as broken:
            fuzzer.mutator._draw.setstate(state)
            batch = [fuzzer.mutator.mutated(fuzzer.pool) for _ in range(BATCH)]
            raise shortest(fuzzer.judge, batch, broken) from broken
    raise AssertionError("cycle does not end")


def shortest(judge: Judge, batch: Sequence[bytes], broken: Broken) -> Broken:
    """Return the same failure with one short message, or with none where it takes the batch."""
    candidates = batch if broken.payload is None else [broken.payload]
    best = next((one for one in candidates if _failure(judge, one) is not None), None)
    if best is None:
        return broken
    size, tries = len(best) // 2, 0
    while size and tries < MOST_TRIES:
        for shorter in _without(best, size):
            tries += 1
            if _failure(judge, shorter) is not None:
                best = shorter
                break
        else:
            size //= 2
        size = min(size, len(best))
    return _failure(judge, best) or broken


def _failure(judge: Judge, one: bytes) -> Broken | None:
    try:
        judge.judge([one])
    except Broken as broken:
        return Broken(str(broken).partition(": ")[2], judge.contract, one)
    return None


def _without(text: bytes, size: int) -> Iterator[bytes]:
    for at in range(0, len(text), size):
        yield text[:at] + text[at + size :]


def say(text: str) -> None:
    """Print at once, for whoever waits."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main(arguments: list[str] | None = None) -> int:
    """Fuzz for a while."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.fuzzer")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    logging.disable(logging.CRITICAL)
    began = time.monotonic()
    try:
        done = fuzz(options.seed, lambda _: time.monotonic() - began > options.seconds)
    except Broken as broken:
        say(f"{broken}\n  seed {options.seed}, message: {broken.payload!r}")
        if broken.payload is not None:
            folder = HERE / "found"
            folder.mkdir(exist_ok=True)
            file = folder / f"{hashlib.sha256(broken.payload).hexdigest()[:12]}.bin"
            file.write_bytes(broken.payload)
            say(f"  kept in {file}")
        return 1
    for fuzzer in done:
        say(
            f"{fuzzer.judge.contract.name}: {fuzzer.messages:,} messages, "
            f"{len(fuzzer.seen):,} kinds of outcome"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
