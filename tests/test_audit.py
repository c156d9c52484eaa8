"""What `apply` did is on record: true, without IDs, in a chain that shows changes, and never at the cost of a frame."""

from __future__ import annotations

import datetime
import decimal
import hashlib
import io
import json
import os
import stat
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal
from support import quick

import xcompliance_pd as xc
from xcompliance_pd import audit
from xcompliance_pd.ledger import APPLIED, Ledger
from xcompliance_pd.runner import Clock

IDS = [str(1212092628029698048 + number * 4_194_304_007) for number in range(7)]
LINES = [
    f'{{"id":"{IDS[2]}","action":"delete","reason":"suspended"}}',
    f'{{"id":"{IDS[3]}","action":"delete","reason":"scrub_geo"}}',
]
NOW = 1_800_000_000.0
REAL = "tweets-20261123-0123abcd"


@pytest.fixture
def far() -> Iterator[xc.Sandbox]:
    with xc.Sandbox(findings=LINES, complete_after=1) as box:
        yield box


@pytest.fixture
def posts() -> pd.DataFrame:
    return pd.DataFrame({"id": [*IDS, None], "text": "words of a post", "lat": 48.4})


@pytest.fixture
def checked(far: xc.Sandbox, posts: pd.DataFrame) -> pd.DataFrame:
    return posts.compliance.check("id", client=quick(far))


@pytest.fixture
def run(checked: pd.DataFrame) -> xc.Run:
    (name,) = checked["compliance_run"].dropna().unique()
    return xc.open_run(name)


def quietly(frame: pd.DataFrame, **options: Any) -> pd.DataFrame:
    """Apply; that an unchecked row stays is no news here, any other warning is."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Rows kept as they are: 1 unchecked")
        return frame.compliance.apply(**options)


def file(run: xc.Run) -> Path:
    return Ledger().folder(run.id) / APPLIED


# --------------------------------------------------------------------------- a column's checksum


def plain_checksum(column: pd.Series) -> str:
    """What the module's text tells somebody else to compute."""
    lines = ("null" if pd.isna(cell) else json.dumps(str(cell), ensure_ascii=False) for cell in column)
    return hashlib.sha256("".join(line + "\n" for line in lines).encode()).hexdigest()


BIG = 1228393702244134912
TIMES = ["2026-11-23 20:15:00", None, "2026-11-23 20:15:00.5", "1969-12-31 23:59:59.999999", "2000-01-01"]
COLUMNS = {
    "int64": pd.Series([BIG, 1, 0, -7]),
    "int8": pd.Series([1, -1], dtype="int8"),
    "uint64": pd.Series([2**64 - 1, 0], dtype="uint64"),
    "Int64": pd.Series([BIG, None, -3], dtype="Int64"),
    "Int64 without missing": pd.Series([BIG, 20], dtype="Int64"),
    "UInt64": pd.Series([2**64 - 1, None], dtype="UInt64"),
    "bool": pd.Series([True, False]),
    "boolean": pd.Series([True, None], dtype="boolean"),
    "float64": pd.Series([48.4, None, 1e300, -0.0, float("inf"), 1.0, 0.1]),
    "float32": pd.Series([0.1, None, 48.4], dtype="float32"),
    "Float64": pd.Series([0.1, None], dtype="Float64"),
    "texts": pd.Series(["a", "b c", "\u00fc\u20ac\U0001f600", ""]),
    "texts with marks": pd.Series(['say "x"', "back\\slash", "line\nend", "tab\t", "\x00\x7f\u2028", None]),
    "objects": pd.Series(["a", 1, 2.5, None, np.nan, pd.NA, pd.NaT, True, b"x", decimal.Decimal("1.50")], dtype=object),
    "dates": pd.Series([datetime.date(2026, 11, 23), datetime.datetime(2026, 11, 23, 1, 2)], dtype=object),
    "python strings": pd.Series(["a", None], dtype=pd.StringDtype("python")),
    "arrow strings": pd.Series(["a", None], dtype="string[pyarrow]"),
    "arrow integers": pd.Series([BIG, None], dtype="int64[pyarrow]"),
    "category": pd.Series(["b", None, "a", "b"], dtype="category"),
    "category of numbers": pd.Series([7, 20, 7], dtype="category"),
    "category without words": pd.Series([None, None], dtype="category"),
    "times": pd.Series(pd.to_datetime(TIMES, format="ISO8601")),
    "times in UTC": pd.Series(pd.to_datetime(TIMES, format="ISO8601", utc=True)),
    "seconds": pd.Series(pd.to_datetime(TIMES, format="ISO8601", utc=True)).dt.floor("s").dt.as_unit("s"),
    "nanoseconds": pd.Series(pd.to_datetime([1, 1_000, 0, 10**18], unit="ns", utc=True)),
    "times elsewhere": pd.Series(pd.to_datetime(TIMES, format="ISO8601", utc=True)).dt.tz_convert("Europe/Berlin"),
    "no time": pd.Series([pd.NaT, pd.NaT]),
    "spans": pd.Series(pd.to_timedelta([1, None, 90], unit="s")),
    "intervals": pd.Series(pd.arrays.IntervalArray.from_breaks([0, 1, 2])),
    "sparse": pd.Series(pd.arrays.SparseArray([0, 0, 7])),
    "nothing": pd.Series([], dtype=object),
}


@pytest.mark.parametrize("name", COLUMNS)
@pytest.mark.parametrize("block", [1, 3, 1 << 16])
def test_it_is_what_the_text_says(name: str, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of each dtype the checksum is the one that a few plain lines compute, in blocks of any size."""
    monkeypatch.setattr(audit, "BLOCK", block)
    assert audit.checksum(COLUMNS[name]) == plain_checksum(COLUMNS[name])


@given(st.lists(st.none() | st.text() | st.integers(0, 2**63 - 1).map(str), max_size=20))
@settings(max_examples=300)
def test_it_is_of_any_text(texts: list[str | None]) -> None:
    """Texts of any characters, as objects or as a category, have the checksum of their JSON, and no two the same."""
    column = pd.Series(texts, dtype=object)
    assert audit.checksum(column) == plain_checksum(column)
    assert audit.checksum(column.astype("category")) == plain_checksum(column)
    other = [*texts, "x"]
    assert audit.checksum(pd.Series(other, dtype=object)) != audit.checksum(column)


def test_a_missing_text_is_no_word() -> None:
    """The words null, None and nan are others than a missing cell, and two cells others than one with a line end."""
    missing = audit.checksum(pd.Series([None], dtype=object))
    assert missing not in [audit.checksum(pd.Series([word])) for word in ("null", "None", "nan", "", "NaT")]
    assert audit.checksum(pd.Series(["a", "b"])) != audit.checksum(pd.Series(['a"\n"b']))


def test_records_are_json_with_sorted_keys() -> None:
    """A cell that is a record or a list counts as its JSON, in any order of keys; one that is no JSON counts, too."""
    column = pd.Series([{"b": 1, "a": "\u00fc"}, [1, 2], np.array([1, 2]), {1: 0, "x": 0}], dtype=object)
    other = pd.Series([{"a": "\u00fc", "b": 1}, (1, 2), [1, 2], "{1: 0, 'x': 0}"], dtype=object)
    assert audit.checksum(column) == audit.checksum(other)
    first = json.dumps(json.dumps({"a": "\u00fc", "b": 1}, ensure_ascii=False), ensure_ascii=False)
    assert audit.checksum(column[:1]) == hashlib.sha256(f"{first}\n".encode()).hexdigest()


def test_a_half_of_a_character_has_one_too() -> None:
    """Text that cannot be written as UTF-8, as broken JSON yields it, is no reason to lose a frame."""
    for texts in (["\ud83d"], ["\ud83d", None]):
        assert len(audit.checksum(pd.Series(texts, dtype=object))) == 64


@pytest.mark.parametrize("dtype", ["int64", "Int64", "uint64", "object", "category", "string", "int64[pyarrow]"])
def test_ids_are_the_same_as_numbers_and_as_text(dtype: str) -> None:
    """A column of IDs has one checksum, however a reader typed it."""
    text = pd.Series(IDS)
    column = pd.Series(list(map(int, IDS)), dtype=dtype) if "int" in dtype.lower() else text.astype(dtype)
    assert audit.checksum(column) == audit.checksum(text)


def test_a_checked_frame_is_the_same_after_a_csv_file(checked: pd.DataFrame) -> None:
    """Written as CSV and read as text, every column keeps its checksum: verdicts, times and IDs."""
    text = pd.read_csv(io.StringIO(checked.to_csv(index=False)), dtype=str)
    assert audit.checksums(text) == audit.checksums(checked)


def test_order_values_and_names_count_and_the_index_does_not() -> None:
    """Another order is another checksum; another index is the same; each of two columns of a name has its own."""
    frame = pd.DataFrame([["1", "2"], ["3", "4"]], columns=["x", "x"])
    assert list(audit.checksums(frame)) == ["x", "x (2)"]
    assert audit.checksums(frame) != audit.checksums(frame[::-1])
    assert audit.checksums(frame) == audit.checksums(frame.set_axis(["a", "b"]))
    levels = frame.set_axis(pd.MultiIndex.from_tuples([("geo", "id"), ("x", "")]), axis=1)
    assert list(audit.checksums(levels)) == ["geo.id", "x"]


# --------------------------------------------------------------------------- the chain


def chain(length: int = 3) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = []
    for number in range(length):
        entry = {"applied_at": "2026-11-23T20:15:00+00:00", "rows": {"before": number, "after": 0}, "changes": {}}
        records.append(audit.sealed(entry, REAL, number, records[-1]["sha256"] if records else None))
    return records


def test_a_whole_chain_holds() -> None:
    """Also after it went through a file."""
    assert audit.verify(chain(), REAL) == [True] * 3
    assert audit.verify(audit.read(b"".join(map(audit.line, chain()))), REAL) == [True] * 3
    assert audit.verify([], REAL) == []


DAMAGE: dict[str, tuple[Callable[[list[dict[str, Any]]], object], list[bool]]] = {
    "a count was changed": (lambda c: c[1]["rows"].update(before=99), [True, False, True]),
    "a count was changed and sealed anew": (
        lambda c: c.__setitem__(1, audit.sealed({"rows": {"before": 99}}, REAL, 1, c[0]["sha256"])),
        [True, True, False],
    ),
    "the first was taken out": (lambda c: c.pop(0), [False, True]),
    "one was taken out": (lambda c: c.pop(1), [True, False]),
    "two changed places": (lambda c: c.reverse(), [False, False, False]),
    "one stands there twice": (lambda c: c.insert(1, c[0]), [True, False, True, True]),
    "one has no checksum": (lambda c: c[2].pop("sha256"), [True, True, False]),
    "one has another key": (lambda c: c[2].update(more=1), [True, True, False]),
    "one is no record": (lambda c: c.__setitem__(1, {}), [True, False, False]),
}


@pytest.mark.parametrize("how", DAMAGE)
def test_what_was_changed_is_noticed_where_it_is(how: str) -> None:
    """A record that was changed, put in or taken out breaks the chain there, and nowhere else."""
    records = chain()
    change, expected = DAMAGE[how]
    change(records)
    assert audit.verify(records, REAL) == expected


def test_the_chain_of_another_run_does_not_hold() -> None:
    """Records that were copied from another run's folder are not this run's."""
    assert audit.verify(chain(), "tweets-20261123-ffffffff") == [False] * 3


@pytest.mark.parametrize(
    "junk",
    [b"null", b"[]", b"{", b"\xff\xfe", b"7", b'{"rows": 3, "applied_at": [], "changes": {"dropped": true}}', b"",
     b'{"rows": {"before": "x"}, "applied_at": "soon", "columns": {"before": 7}, "sha256": 1}', b"[" * 10**5],
)  # fmt: skip
def test_junk_is_told_and_hides_nothing(junk: bytes) -> None:
    """Whatever stands in the file, the table has a row for each line, and only true records hold."""
    lines = list(map(audit.line, chain()))
    records = audit.read(lines[0] + junk + b"\n" + lines[1])
    table = audit.table(records, REAL)
    assert table["holds"].tolist() == [True, False, False]
    assert table["rows_before"].astype(object).tolist()[::2] == [0, 1]
    assert pd.isna(table["rows_before"][1])
    assert pd.isna(table["applied_at"][1])
    assert pd.isna(table["dropped"][1]) or table["dropped"][1] == 0


# --------------------------------------------------------------------------- the record of an apply


def test_it_says_what_was_done(checked: pd.DataFrame, run: xc.Run, far: xc.Sandbox) -> None:
    """Time, options, counts and checksums are those of what went in and what came out, and the file is private."""
    access = quick(far, clock=Clock(now=lambda: NOW))
    clean = quietly(checked, client=access)
    (record,) = Ledger().applied(run.id)
    assert record["applied_at"] == "2027-01-15T08:00:00+00:00"
    assert (record["mode"], record["prefix"], record["run"]) == ("drop", "compliance_", run.id)
    kept = {"unchecked": "keep", "invalid": "keep", "unknown": "keep"}
    assert record["options"] == {**kept, "references": "retweeted"}
    assert record["rows"] == {"before": 8, "after": 7, "of_run": 7}
    assert record["verdicts"] == {"compliant": 5, "action_required": 2, "unchecked": 1, "invalid": 0}
    assert record["changes"] == {"kept": 5, "dropped": 1, "geo blanked": 1, "kept: unchecked": 1}
    assert record["blanked"] == ["lat"]
    assert record["columns"] == {"before": audit.checksums(checked), "after": audit.checksums(clean)}
    assert record["previous"] is None
    assert record["software"] == f"xcompliance-pd {xc.__version__}"
    assert stat.S_IMODE(file(run).stat().st_mode) == 0o600


def test_it_tells_no_id_and_no_word(far: xc.Sandbox) -> None:
    """Neither an ID nor a word of a post gets into the record, not even as a column's name or a prefix."""
    posts = pd.DataFrame({"id": IDS, "text": "words of a post", IDS[0]: 1})
    prefix = f"{IDS[1]}_"
    checked = posts.compliance.check("id", client=quick(far), prefix=prefix)
    checked.compliance.apply(prefix=prefix, geo=["text"])
    text = file(xc.open_run(xc.runs().index[0])).read_text()
    assert "words" not in text
    assert not [number for number in IDS if number in text]
    assert '"..."' in text


def test_records_add_up_to_a_chain(checked: pd.DataFrame, run: xc.Run) -> None:
    """Each apply appends; `applied` lists them in order, with counts by change, and the chain holds."""
    quietly(checked)
    quietly(checked, mode="redact", keep="id", unchecked="drop")
    quietly(checked, mode="mark")
    table = run.applied()
    assert table["mode"].tolist() == ["drop", "redact", "mark"]
    assert table["rows_before"].tolist() == [8, 8, 8]
    assert table["rows_after"].tolist() == [7, 8, 8]
    assert table["dropped"].tolist() == [1, 0, 1]
    assert table["redacted"].tolist() == [0, 2, 0]
    assert table["geo blanked"].tolist() == [1, 1, 1]
    assert table["holds"].all()
    assert table["applied_at"].is_monotonic_increasing
    assert str(table["applied_at"].dt.tz) == "UTC"
    assert len({*table["sha256"]}) == 3
    sums = table["columns_after"][1]
    assert sums["id"] == audit.checksum(pd.Series([*IDS, None]))


def test_a_run_without_records_has_an_empty_table(run: xc.Run) -> None:
    """With the same columns and types as one that has some."""
    before = run.applied()
    assert before.empty
    assert before["holds"].dtype == bool
    assert str(before["applied_at"].dtype).endswith("UTC]")


def test_changes_puts_nothing_on_record(checked: pd.DataFrame, run: xc.Run) -> None:
    """Only what is done is recorded, not what would be."""
    checked.compliance.changes()
    assert not file(run).exists()


def test_what_is_refused_is_not_on_record(checked: pd.DataFrame, run: xc.Run) -> None:
    """A plan that is refused, and one that fails while it is carried out, leave no record: there is no clean frame."""
    with pytest.raises(xc.InputError):
        checked.compliance.apply(unchecked="raise")
    with pytest.raises(xc.InputError, match="did not make"):
        checked.assign(compliance_change="mine").compliance.apply(mode="mark")
    with pytest.raises(xc.InputError, match="client="):
        checked.compliance.apply(client="client")
    assert not file(run).exists()


def test_an_error_made_of_the_warning_leaves_no_record(checked: pd.DataFrame, run: xc.Run) -> None:
    """Who turns the warning of what stays into an error gets no frame, so nothing was done."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(xc.ComplianceWarning):
            checked.compliance.apply()
    assert not file(run).exists()


def test_the_frame_is_the_same_with_and_without(checked: pd.DataFrame, run: xc.Run, tmp_path: Path) -> None:
    """The record changes nothing about the clean frame, nor about the one that it was made of."""
    before = checked.copy()
    recorded = quietly(checked)
    elsewhere = quietly(checked, client=xc.Client(token="t", home=tmp_path / "other"))
    assert_frame_equal(recorded, elsewhere)
    assert_frame_equal(checked, before)
    assert len(run.applied()) == 1
    assert not (tmp_path / "other").exists(), "looking makes no ledger"


def test_every_run_that_is_named_gets_one(far: xc.Sandbox, posts: pd.DataFrame) -> None:
    """A frame of two runs is recorded with both, each in its own chain, with the rows that name it."""
    parts = [part.compliance.check("id", client=quick(far)) for part in (posts[:2], posts[2:7])]
    both = pd.concat(parts)
    quietly(both)
    rows = {run: Ledger().applied(run)[0]["rows"] for run in xc.runs().index}
    assert sorted(row["of_run"] for row in rows.values()) == [2, 5]
    assert {row["before"] for row in rows.values()} == {7}
    assert all(xc.open_run(run).applied()["holds"].all() for run in rows)


def test_a_frame_from_a_file_is_recorded_as_well(checked: pd.DataFrame, run: xc.Run) -> None:
    """The verdict columns are the report: reloaded as text they name the run as before."""
    text = pd.read_csv(io.StringIO(checked.to_csv(index=False)), dtype=str)
    quietly(text)
    quietly(checked)
    first, second = run.applied()["columns_before"]
    assert first == second


@pytest.mark.parametrize("columns", [[], ["run"], ["run", "run"]])
def test_frames_without_a_run_are_cleaned_all_the_same(columns: list[str]) -> None:
    """An older or foreign frame has no run to record it with; one with two such columns gets a warning."""
    frame = pd.DataFrame(
        [["compliant", None, None, *[None] * len(columns)]],
        columns=[f"compliance_{name}" for name in ("status", "action", "reason", *columns)],
    )
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        assert len(frame.compliance.apply()) == 1
    assert len(told) == (len(columns) == 2)
    assert all("not on record" in str(one.message) for one in told)


def named(*runs: str | None) -> pd.DataFrame:
    verdicts = {"status": "compliant", "action": None, "reason": None}
    return pd.DataFrame({"compliance_" + name: word for name, word in verdicts.items()}, index=range(len(runs))).assign(
        compliance_run=runs
    )


def test_runs_of_another_ledger_are_told_once(tmp_path: Path) -> None:
    """One warning names them and what to do; runs of a sandbox that is gone, and saved files, are no news."""
    assert len(named("sandbox-tweets-20261123-0123abcd", "file-results.ndjson", None).compliance.apply()) == 3
    many = named(*(f"tweets-20261123-{number:08x}" for number in range(4)), "users-20261123-ffffffff")
    with pytest.warns(xc.ComplianceWarning) as told:
        assert len(many.compliance.apply()) == 5
    (one,) = told
    first = ", ".join(f"tweets-20261123-{number:08x}" for number in range(3))
    assert f"not on record for {first} and 2 more, which" in str(one.message)
    assert "client=xc.Client(home=...)" in str(one.message)
    assert one.filename == __file__
    assert not (tmp_path / "home").exists()


def test_a_disk_that_fails_costs_no_frame(checked: pd.DataFrame, run: xc.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the record cannot be written, the clean frame is returned, with a warning that says so."""
    expected = quietly(checked)
    before = file(run).read_bytes()

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.warns(xc.ComplianceWarning, match="The clean frame is whole, but .* not on record.*No space left"):
            clean = quietly(checked)
    assert_frame_equal(clean, expected)
    assert file(run).read_bytes().startswith(before)


def test_half_a_record_is_no_record(checked: pd.DataFrame, run: xc.Run) -> None:
    """What a crash left of a line is dropped by the next record; a whole line that lacks its end is kept."""
    quietly(checked)
    first = file(run).read_bytes()
    file(run).write_bytes(first + first[:100])
    assert run.applied()["holds"].tolist() == [True, False]
    quietly(checked)
    assert run.applied()["holds"].tolist() == [True, True]
    file(run).write_bytes(file(run).read_bytes()[:-1])
    quietly(checked)
    assert run.applied()["holds"].tolist() == [True, True, True]


def test_a_broken_chain_goes_on_and_stays_broken(checked: pd.DataFrame, run: xc.Run) -> None:
    """Later records do not heal what was changed before."""
    quietly(checked)
    quietly(checked)
    file(run).write_text(file(run).read_text().replace('"dropped": 1', '"dropped": 0', 1))
    quietly(checked)
    assert run.applied()["holds"].tolist() == [False, True, True]


def test_a_link_is_not_followed(checked: pd.DataFrame, run: xc.Run, tmp_path: Path) -> None:
    """A link that was planted under the file's name gets no record, and its target stays."""
    (tmp_path / "precious").write_text("kept")
    file(run).symlink_to(tmp_path / "precious")
    with pytest.warns(xc.ComplianceWarning, match="not on record"):
        quietly(checked)
    assert (tmp_path / "precious").read_text() == "kept"


def test_two_at_once_make_one_chain(checked: pd.DataFrame, run: xc.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Records that are written at the same time follow one another, though each takes its time to be made."""
    sealed = audit.sealed

    def slowly(*facts: Any) -> dict[str, Any]:
        threading.Event().wait(0.02)
        return sealed(*facts)

    monkeypatch.setattr(audit, "sealed", slowly)
    entry = {"rows": {"before": 1, "after": 1}}
    ledgers = [Ledger() for _ in range(6)]
    threads = [threading.Thread(target=ledger.record_applied, args=(run.id, entry, 1)) for ledger in ledgers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert audit.verify(Ledger().applied(run.id), run.id) == [True] * 6


def test_it_outlives_the_ids(checked: pd.DataFrame, run: xc.Run) -> None:
    """After `forget` the records are there, and further ones can be added for a frame that is still there."""
    quietly(checked)
    run.forget()
    quietly(checked, mode="mark")
    assert run.applied()["mode"].tolist() == ["drop", "mark"]
    assert run.applied()["holds"].all()


# --------------------------------------------------------------------------- the report


def section(path: Path) -> ElementTree.Element:
    tree = ElementTree.fromstring(path.read_text(encoding="utf-8"))
    (found,) = [node for node in tree.iter("section") if node.findtext("h2") == "What was done with it"]
    return found


def words(node: ElementTree.Element) -> str:
    return " ".join("".join(node.itertext()).split())


def test_the_report_lists_the_records(checked: pd.DataFrame, run: xc.Run, tmp_path: Path) -> None:
    """Counts of each record, the checksums of each column before and after, and the record's own stand there."""
    quietly(checked)
    quietly(checked, mode="mark")
    checked.compliance.report(tmp_path / "r.html", run)
    found = section(tmp_path / "r.html")
    rows = [[words(cell) for cell in row] for row in found.find("table/tbody")]  # type: ignore[union-attr]
    told = "kept 5, dropped 1, geo blanked 1, kept: unchecked 1"
    assert [row[0:1] + row[2:] for row in rows] == [
        ["1", "drop", told, "yes", "8", "7"],
        ["2", "mark", f"only marked: {told}", "yes", "8", "8"],
    ]
    text = words(found)
    for record in Ledger().applied(run.id):
        assert record["sha256"] in text
        assert all(checksum in text for side in record["columns"].values() for checksum in side.values())
    assert not list(found.iter("strong"))
    assert "to be relied on" not in text


def test_the_report_says_a_broken_chain_loudly(checked: pd.DataFrame, run: xc.Run, tmp_path: Path) -> None:
    """A record that was changed is a banner; foreign words in it are escaped, and IDs stay what they are: words."""
    quietly(checked)
    quietly(checked)
    text = file(run).read_text().replace('"mode": "drop"', '"mode": "<script>alert(1)</script>"', 1)
    file(run).write_text(text + "{\n")
    checked.compliance.report(tmp_path / "r.html", run)
    found = section(tmp_path / "r.html")
    (banner,) = [node for node in found.iter("p") if node.get("class") == "banner"]
    assert "2 of the 3 records below are not as they were written" in words(banner)
    assert [words(node) for node in found.iter("strong")] == ["no", "no"]
    assert "<script" not in (tmp_path / "r.html").read_text()


def test_the_report_says_when_there_is_no_record(checked: pd.DataFrame, run: xc.Run, tmp_path: Path) -> None:
    """No record, and no run, are two different things, and neither is passed over in silence."""
    checked.compliance.report(tmp_path / "r.html", run)
    assert "The run has no record" in words(section(tmp_path / "r.html"))
    checked.compliance.report(tmp_path / "none.html")
    assert "No run was given" in words(section(tmp_path / "none.html"))
