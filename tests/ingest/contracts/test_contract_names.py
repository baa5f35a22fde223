"""Names that SQL and Kafka take as they are."""

from __future__ import annotations

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.contracts.names import RESERVED_WORDS, is_topic, why_no_identifier


def keywords() -> dict[str, str]:
    rows = duckdb.sql("select keyword_name, keyword_category from duckdb_keywords()").fetchall()
    return dict(rows)


def usable(connection: duckdb.DuckDBPyConnection, name: str) -> bool:
    try:
        connection.execute(f"create table bronze.{name}({name} int, x int)")
        connection.execute(f"select {name} from bronze.{name} where {name} = 1 order by {name}")
    except duckdb.Error:
        return False
    return True


def test_reserved_words_are_those_of_the_duckdb_in_use() -> None:
    connection = duckdb.connect()
    connection.execute("create schema bronze")
    unusable = {word for word in keywords() if not usable(connection, word)}
    connection.close()
    reserved = {word for word, category in keywords().items() if category == "reserved"}
    assert unusable | reserved == RESERVED_WORDS


@given(st.from_regex(r"[a-z][a-z0-9_]{0,12}", fullmatch=True))
def test_a_name_that_is_taken_can_be_written_in_sql_as_it_is(name: str) -> None:
    assert (why_no_identifier(name) is None) == (name not in RESERVED_WORDS)


@pytest.mark.parametrize("name", ["", "1st", "two words", "Upper", "a-b", "é", "a" * 64, "_topic"])
def test_other_names_are_refused(name: str) -> None:
    assert why_no_identifier(name) is not None


@pytest.mark.parametrize("topic", ["a", "a.b-c_D9", "x" * 249])
def test_topics_that_kafka_takes(topic: str) -> None:
    assert is_topic(topic)


@pytest.mark.parametrize("topic", ["", ".", "..", "a b", "ä", "a/b", "x" * 250])
def test_topics_that_kafka_refuses(topic: str) -> None:
    assert not is_topic(topic)
