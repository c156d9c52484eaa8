"""The sample data is what data/README.md says, and can be made again byte for byte."""

import csv
import importlib.util
import io
from datetime import datetime
from pathlib import Path
from types import ModuleType

import pytest

DATA = Path(__file__).parent.parent / "data"


@pytest.fixture(scope="module")
def maker() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_sample", DATA / "make_sample.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO((DATA / "posts.csv").read_text(encoding="utf-8"), newline="")))


def test_made_again_it_is_the_same_bytes(maker):
    assert maker.render() == (DATA / "posts.csv").read_bytes()


def test_size_and_columns(rows):
    assert len(rows) == 2_000
    assert list(rows[0]) == ["id", "author_id", "created_at", "text", "lat", "lon", "place"]
    assert (DATA / "posts.csv").stat().st_size < 300_000


def test_dirty_rows_are_where_the_readme_says(rows):
    ids = [row["id"] for row in rows]
    spoilt = {
        250: "",
        600: "1.41785674431997E+18",
        750: "https://x.com/example/status/1100000000000000001",
        1100: "'1100000000000000002",
        1700: " 12345 ",
    }
    assert {number: ids[number] for number in spoilt} == spoilt
    assert [number for number in range(1, 2_000) if ids[number] == ids[number - 1]] == [100, 900, 1500]
    clean = [id for number, id in enumerate(ids) if number not in spoilt]
    assert all(id.isdigit() for id in clean)
    assert len(set(clean)) == len(clean) - 3


def test_ids_carry_the_time_of_writing(rows):
    for number, row in enumerate(rows):
        written = datetime.fromisoformat(row["created_at"])
        assert 2012 <= written.year <= 2022
        assert int(row["author_id"]) > 0
        if row["id"].isdigit() and number not in (100, 900, 1500):
            assert (int(row["id"]) >> 22) + 1_288_834_974_657 == round(written.timestamp() * 1000)
            assert int(row["author_id"]) < int(row["id"])


def test_texts_need_quoting_and_utf8_and_most_rows_have_no_place(rows):
    texts = [row["text"] for row in rows]
    assert any("," in text for text in texts)
    assert any('"' in text for text in texts)
    assert any(not text.isascii() for text in texts)
    placed = [row for row in rows if row["place"]]
    assert 100 < len(placed) < 500
    assert all(bool(row["lat"]) == bool(row["lon"]) == bool(row["place"]) for row in rows)
