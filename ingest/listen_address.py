"""Where a server of lakeward listens, as people write it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ingest.errors import ListenAddressError

LOCAL: Final = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """A host and a port."""

    host: str
    """Empty: every address of the machine."""
    port: int
    """0 takes a free one."""

    @classmethod
    def parse(cls, text: str, *, setting: str, example: int) -> ListenAddress:
        """Read ``host:port``, ``[ipv6]:port``, ``:port`` (all addresses) or ``port`` (only here).

        Args:
            text: what somebody wrote.
            setting: the variable that it may come from, for the hint.
            example: a port to show in the hint.

        Raises:
            ListenAddressError: it is none of these.
        """
        host, colon, port = text.strip().rpartition(":")
        host = host.removeprefix("[").removesuffix("]") if colon else LOCAL
        if not (port.isascii() and port.isdigit() and int(port) <= 65535):
            raise ListenAddressError(
                f"{text!r} is no address to listen on",
                hint=f"{setting} is host:port, e.g. {LOCAL}:{example}; :{example} listens on every "
                "address of the machine.",
            )
        return cls(host, int(port))

    @property
    def url(self) -> str:
        """Where a client on this machine reaches it."""
        here = self.host in ("", "0.0.0.0", "::")  # noqa: S104 - compared, not listened on
        return f"http://{ListenAddress(LOCAL, self.port) if here else self}"

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
