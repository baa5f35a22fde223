"""The files that are written from the contracts, and whether they still are what they were."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ingest.contracts.reference import GENERATED, index_page, reference_page
from ingest.contracts.registry import SHIPPED, ContractSet, load_contracts
from ingest.errors import ContractError
from lake.dbt_sources import sources_yml

CHECKOUT = Path(__file__).parents[1]
PAGES = Path("docs/reference/contracts")
MODELS = Path("dbt_project/models")


@dataclass(frozen=True, slots=True)
class GeneratedFile:
    """A file and the text it should have; None when it should not be there any more."""

    path: Path
    text: str | None
    shipped: bool = True
    """False for what follows from a contract of the user's own; nobody has to have that."""

    @property
    def is_stale(self) -> bool:
        """True when writing would change something."""
        on_disk = self.path.read_bytes() if self.path.exists() else None
        return on_disk != (None if self.text is None else self.text.encode())

    @property
    def drift(self) -> str | None:
        """What is wrong with the file on disk; None when nothing is."""
        if not self.is_stale:
            return None
        if not self.path.exists():
            return "is missing" if self.shipped else None
        if self.text is None:
            return "is left over from a contract that is gone"
        return "is not what the contracts say"

    def write(self) -> None:
        """Make the file what it should be.

        Raises:
            ContractError: the file or its folder cannot be written.
        """
        try:
            if self.text is None:
                self.path.unlink()
                return
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.write_bytes(self.text.encode())
        except OSError as error:
            raise ContractError(f"{self.path}: cannot be written: {error.strerror}") from error


def is_checkout(root: Path) -> bool:
    """True when ``root`` is lakeward's source, with the folders of the generated files."""
    return (root / "pyproject.toml").is_file() and (root / "dbt_project").is_dir()


def generated_files(extra_dir: Path | None, root: Path = CHECKOUT) -> Iterator[GeneratedFile]:
    """Yield every file that follows from the contracts.

    The shipped contracts have theirs below ``root``, under version control. Contracts of the
    user's own change none of those: their pages stand beside them in ``extra_dir``, and their
    dbt sources in a file of its own.
    """
    shipped = load_contracts(None)
    names = set(shipped.names())
    own = ContractSet(tuple(c for c in load_contracts(extra_dir) if c.name not in names))
    yield GeneratedFile(root / MODELS / "sources.yml", sources_yml(shipped))
    own_sources = sources_yml(own, dead_letters=False) if len(own) else None
    yield GeneratedFile(root / MODELS / "sources_own.yml", own_sources, shipped=False)
    pages = {f"{contract.name}.md": reference_page(contract) for contract in shipped}
    pages["README.md"] = index_page(shipped)
    yield from _pages(root / PAGES, pages, shipped=True)
    if extra_dir is not None and extra_dir.resolve() != SHIPPED.resolve():
        own_pages = {f"{c.name}.md": reference_page(c) for c in own}
        yield from _pages(extra_dir, own_pages, shipped=False)


def _pages(folder: Path, pages: dict[str, str], *, shipped: bool) -> Iterator[GeneratedFile]:
    for name, text in pages.items():
        yield GeneratedFile(folder / name, text, shipped)
    for path in sorted(folder.glob("*.md")):
        if path.name not in pages and GENERATED in path.read_text("utf-8", errors="replace"):
            yield GeneratedFile(path, None, shipped)
