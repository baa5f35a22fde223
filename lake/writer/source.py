"""One partition of one incarnation of a topic: what a stored position belongs to."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Source:
    """A topic partition, told apart from a partition of the same name made again later.

    ``topic_id`` is the broker's id of the topic. A recreated topic begins again at offset 0 under
    another id, so its offsets never meet those of the old one, neither in a transaction id nor in
    the rows. Where the broker gives no ids, or a partition lost its end while keeping its id, the
    journal numbers the incarnations: ``<id>#1``, ``<id>#2``.
    """

    topic: str
    topic_id: str
    partition: int

    def app_id(self, writer: str, table: str) -> str:
        """Return the Delta transaction id whose version is the last offset ``table`` holds."""
        return f"{writer}:{table}:{self.topic}@{self.topic_id}:{self.partition}"

    def rules_id(self, writer: str, table: str) -> str:
        """Return the transaction id that every commit of rows of this source carries.

        Its version is a claim (``lake.writer.sink``); whoever moves it, to the same version even,
        makes those commits fail that are under way.
        """
        return f"{self.app_id(writer, table)}#rules"

    @property
    def broker_topic_id(self) -> str:
        """The id the broker gave, without the journal's number."""
        return self.topic_id.partition("#")[0]

    def next_incarnation(self) -> Source:
        """Return the source to use after this one's offsets were found to be used anew."""
        _, _, number = self.topic_id.partition("#")
        renumbered = f"{self.broker_topic_id}#{int(number or 0) + 1}"
        return Source(self.topic, renumbered, self.partition)

    def __str__(self) -> str:
        return f"{self.topic}[{self.partition}]"
