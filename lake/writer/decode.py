"""From the bytes of a batch of messages to bronze rows and dead letters."""

from __future__ import annotations

from ingest.contracts.model import Contract
from lake.writer.messages import Decoded, Messages

__all__ = ["Decoded", "Decoder", "Messages"]


class Decoder:
    """Decodes the messages of one contract."""

    def __init__(self, contract: Contract, known_tenants: frozenset[str] | None) -> None:
        self.contract = contract
        self.known_tenants = known_tenants

    def decode(self, messages: Messages) -> Decoded:
        """Put each message into exactly one of rows and dead letters."""
        raise NotImplementedError
