"""What can go wrong for a user of ``ingest``, as a tree.

LakewardError                 anything a user can mend; the command line prints it and exits 2
└── IngestError
    ├── ContractError         a contract file is wrong: file, line, field, what is expected
    ├── UnknownContractError  a name or topic that no contract has
    ├── BrokerError           no broker, or it does not answer
    ├── TopicError            a topic is missing or cannot be made
    ├── DeliveryError         the broker did not take every message that was sent
    ├── ExperimentError       an experiment's id or weights cannot be used
    ├── GeneratorError        the generator is asked for something that it cannot make
    ├── ImportFileError       a file to import, or its mapping, is wrong
    ├── ListenAddressError    what is written is no address to listen on
    ├── CollectorError        the collector cannot run as it is set
    ├── SpillFullError        events cannot be kept while Kafka is away: no room on the disk
    ├── RegistryError         the registry of tenants cannot be read or written
    └── TenantError           a tenant or a write key cannot be changed like this
"""

from __future__ import annotations


class LakewardError(Exception):
    """A failure the user can mend: ``message`` says what and where, ``hint`` what to do."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message if self.hint is None else f"{self.message}\n  {self.hint}"


class IngestError(LakewardError):
    """The root of what ``ingest`` raises."""


class ContractError(IngestError):
    """A contract file is wrong."""


class UnknownContractError(IngestError):
    """No contract has this name or topic."""


class BrokerError(IngestError):
    """No broker is known, or it does not answer."""


class TopicError(IngestError):
    """A topic is missing or cannot be made."""


class DeliveryError(IngestError):
    """The broker did not take every message that was sent."""


class ExperimentError(IngestError):
    """An experiment's id or weights cannot be used."""


class GeneratorError(IngestError):
    """The generator is asked for something that it cannot make."""


class ImportFileError(IngestError):
    """A file to import, or its mapping, is wrong."""


class RegistryError(IngestError):
    """The registry of tenants cannot be read or written."""


class TenantError(IngestError):
    """A tenant or a write key cannot be changed like this."""


class ListenAddressError(IngestError):
    """What is written is no address to listen on."""


class CollectorError(IngestError):
    """The collector cannot run as it is set."""


class SpillFullError(IngestError):
    """Events cannot be kept while Kafka is away: there is no room on the disk."""
