"""The Data Docs: built, bounded, and silent."""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from expectations.check import run
from expectations.history import COMPACT_FILES
from expectations.validation import KEPT_RESULTS
from tests.expectations.small_lake import CONTRACTS, NOW, SmallLake


@pytest.fixture
def small(tmp_path: Path) -> SmallLake:
    return SmallLake(tmp_path)


def pages(small: SmallLake) -> list[Path]:
    return sorted((small.docs / "validations").rglob("*.html"))


def stored(small: SmallLake) -> list[Path]:
    return sorted((small.docs / ".store" / "validations").rglob("*.json"))


def check_once_more(small: SmallLake, number: int) -> None:
    small.write_bronze([small.conversion(f"c{number}")])
    now = NOW + timedelta(minutes=number)
    run(small.lake, CONTRACTS, data_docs=small.docs, now=now)


def test_the_site_shows_the_expectations_and_the_newest_results(small: SmallLake) -> None:
    for number in range(2):
        check_once_more(small, number)
    index = (small.docs / "index.html").read_text()
    assert index.count("validations/bronze/conversions/") >= 2
    assert "expectations/bronze/conversions.html" in index
    page = pages(small)[-1].read_text()
    assert "occurred_at is present" in page


def test_stored_results_do_not_pile_up(small: SmallLake) -> None:
    """A check must not get slower with the number of checks before it (GX issue 8243)."""
    seen = set()
    for number in range(KEPT_RESULTS + 4):
        check_once_more(small, number)
        seen.add((len(pages(small)), len(stored(small))))
    assert max(seen) == (KEPT_RESULTS, KEPT_RESULTS)
    assert pages(small)[-1].parts[-3] == "20260310T120800.000000Z"
    index = (small.docs / "index.html").read_text()
    assert "20260310T120000.000000Z" not in index, "a dropped result is still linked"
    assert "20260310T120800.000000Z" in index


def test_pages_need_nothing_from_the_network_and_their_links_work(small: SmallLake) -> None:
    check_once_more(small, 0)
    html = sorted(small.docs.rglob("*.html"))
    assert len(html) > 2
    for page in html:
        text = page.read_text()
        assert re.findall(r"""(?:src|href)=["']https?:[^"']*""", text) in (
            [],
            ['href="https://greatexpectations.io'],
        )
        assert "<script" not in text
        for target in re.findall(r'href="([^"#]+)"', text):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page}: {target}"


def test_a_relative_folder_is_as_good_as_an_absolute_one(
    small: SmallLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(small.docs.parent)
    small.write_bronze([small.conversion("a")])
    report = run(small.lake, CONTRACTS, data_docs=Path("data_docs"), now=NOW)
    assert (small.docs / "index.html").samefile(report.data_docs)


def test_a_check_of_one_table_leaves_the_pages_of_others(small: SmallLake) -> None:
    check_once_more(small, 0)
    small.write_dead(1)
    now = NOW + timedelta(minutes=1)
    run(small.lake, CONTRACTS, data_docs=small.docs, now=now, tables=["bronze.dead_letters"])
    index = (small.docs / "index.html").read_text()
    assert "validations/bronze/conversions/" in index
    assert "validations/bronze/dead_letters/" in index
    assert (small.docs / "expectations" / "bronze" / "conversions.html").exists()


def test_the_results_table_keeps_few_files(small: SmallLake) -> None:
    from expectations.history import History
    from expectations.result import RuleResult, SuiteResult

    rule = RuleResult("r", "k", None, "warn", True, "", 1, 0, (), "")
    result = SuiteResult("bronze.x", "bronze", "x", rules=(rule,))
    history = History(small.lake)
    for number in range(COMPACT_FILES + 5):
        history.add(f"run{number}", NOW + timedelta(minutes=number), [result], {}, {})
    table = small.lake.open("ops", "expectation_results")
    assert len(table.file_uris()) < 10
    assert table.to_pyarrow_table().num_rows == COMPACT_FILES + 5


def test_great_expectations_is_imported_only_when_a_check_runs() -> None:
    code = "import expectations.check, sys; print('great_expectations' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_check_reaches_for_no_network_and_prints_nothing(tmp_path: Path) -> None:
    code = """
import socket, sys, warnings
warnings.simplefilter("error")
def refuse(*args, **kwargs):
    raise AssertionError("a connection was opened")
socket.socket.connect = refuse
socket.getaddrinfo = refuse
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from tests.expectations.small_lake import NOW, SmallLake
from expectations.check import run
from ingest.contracts.registry import load_contracts
small = SmallLake(Path(sys.argv[1]))
small.write_bronze([small.conversion("a")])
report = run(small.lake, load_contracts(None), data_docs=small.docs, now=NOW)
assert report.success and report.suites
"""
    root = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path), root],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_value_that_somebody_sent_is_text_and_no_script(small: SmallLake) -> None:
    """Whoever has a public write key chooses what an event says."""
    script = "<script>alert('here')</script>"
    small.write_bronze([small.conversion("c1", conversion_type=script)])
    run(small.lake, CONTRACTS, data_docs=small.docs, now=NOW)
    page = pages(small)[-1].read_text()
    assert script not in page
    assert "&lt;script&gt;alert(&#x27;here&#x27;)" in page
    assert '<i class="fas fa-times' in page, "what is Great Expectations' own stays markup"
