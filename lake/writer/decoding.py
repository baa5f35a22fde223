"""The thread that decodes, while one polls and another commits."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from lake.writer.messages import Decoded, Messages


class Decoding:
    """Decodes one piece after the other, in the order they came."""

    def __init__(self, decode: Callable[[Messages], Decoded]) -> None:
        self._decode = decode
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="decode")

    def begin(self, messages: Messages) -> Callable[[], Decoded]:
        """Hand over messages; what is returned waits for what became of them."""
        return self._thread.submit(self._decode, messages).result

    def close(self) -> None:
        """End the thread after the piece it is at; what waits is dropped."""
        self._thread.shutdown(cancel_futures=True)
