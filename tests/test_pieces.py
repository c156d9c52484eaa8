"""A Parquet file that passes in pieces comes out as it would from memory as a whole, and as it was but for verdicts."""

from __future__ import annotations

import datetime
import decimal
import functools
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import pytest
from support import quick
from test_cli import FIRST, aim, here, posts, save

import xcompliance_pd as xc
from xcompliance_pd import cli, client, tables
from xcompliance_pd.cli import main
from xcompliance_pd.errors import InputError
from xcompliance_pd.outcome import Source

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

from xcompliance_pd.tables import parquet  # noqa: E402  # it needs pyarrow

__all__ = ["here"]  # a fixture

GROUPS = (5, 0, 7, 1, 20, 0)
ROWS = sum(GROUPS)
VERDICTS = ["status", "action", "reason", "created_at", "redacted_at", "checked_at", "run"]


def ids() -> list[int | None]:
    """IDs with some missing, and some that stand in several row groups."""
    numbers: list[int | None] = [FIRST + n * 4_194_304_007 for n in range(ROWS)]
    numbers[3] = numbers[30] = None
    numbers[8] = numbers[31] = numbers[1]
    return numbers


def table(column: Any) -> Any:
    """Return a table of IDs beside columns of many types, and descriptions of columns and table."""
    nested = [{"a": [n, None], "b": {"c": str(n)}} if n % 3 else None for n in range(ROWS)]
    columns = {
        "text": pa.array([f"row {n}" if n % 4 else None for n in range(ROWS)], pa.large_string()),
        "id": column,
        "nested": pa.array(nested),
        "map": pa.array([[("k", n)] for n in range(ROWS)], pa.map_(pa.string(), pa.int16())),
        "lang": pa.array(["en" if n < 9 else "pt" for n in range(ROWS)]).dictionary_encode(),
        "price": pa.array([decimal.Decimal(n) / 100 for n in range(ROWS)], pa.decimal128(20, 2)),
        "when": pa.array([n * 10**9 + 1 for n in range(ROWS)], pa.timestamp("ns", "Europe/Berlin")),
        "day": pa.array([datetime.date(2020, 1, 1)] * ROWS),
        "small": pa.array([None if n % 5 == 0 else n for n in range(ROWS)], pa.int8()),
        "nothing": pa.nulls(ROWS),
        "packed.name": pa.array([bytes([n]) for n in range(ROWS)], pa.binary()),
    }
    fields = [pa.field(name, value.type, metadata={"told": name}) for name, value in columns.items()]
    return pa.Table.from_arrays(list(columns.values()), schema=pa.schema(fields, metadata={"of": "a study"}))


def write(data: Any, path: str = "a.parquet", groups: Sequence[int] = GROUPS, **options: Any) -> None:
    with pq.ParquetWriter(path, data.schema, **options) as writer:
        for start, rows in zip(np.cumsum((0, *groups)), groups, strict=False):
            writer.write_table(data.slice(start, rows), row_group_size=max(rows, 1))


def groups_of(path: str) -> list[int]:
    metadata = pq.ParquetFile(path).metadata
    return [metadata.row_group(n).num_rows for n in range(metadata.num_row_groups)]


def is_the_same(ours: pd.DataFrame, theirs: pd.DataFrame) -> None:
    """The verdict columns hold the same, with the same categories and types."""
    names = [f"compliance_{name}" for name in VERDICTS]
    for name in names[:3]:
        assert ours[name].cat.categories.tolist() == theirs[name].cat.categories.tolist()
    pd.testing.assert_frame_equal(
        ours[names].astype(dict.fromkeys(names[:3] + names[-1:], object)),
        theirs[names].astype(dict.fromkeys(names[:3] + names[-1:], object)),
    )


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces of at most 6 rows, so that row groups are gathered for their IDs, and the large one is cut."""
    monkeypatch.setattr(parquet, "ROWS", 6)


KINDS = {
    "int64": pa.array(ids(), pa.int64()),
    "uint64": pa.array(ids(), pa.uint64()),
    "string": pa.array([None if n is None else str(n) for n in ids()], pa.string()),
    "large_string": pa.array([None if n is None else str(n) for n in ids()], pa.large_string()),
    "dictionary": pa.array([None if n is None else str(n) for n in ids()]).dictionary_encode(),
}
if int(pa.__version__.partition(".")[0]) >= 18:  # earlier ones know the type, but not how to write it
    KINDS["string_view"] = pa.array([None if n is None else str(n) for n in ids()], pa.string()).cast("string_view")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("pieces", ["whole", "small"])
def test_it_is_the_pandas_way(
    here: Path, box: xc.Sandbox, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, kind: str, pieces: str
) -> None:
    """Verdicts are those of the whole frame; everything else is the file's own: values, types, descriptions."""
    aim(monkeypatch, box)
    if pieces == "small":
        request.getfixturevalue("small")
    data = table(KINDS[kind])
    write(data)
    assert main(["check", "a.parquet", "id", "-o", "b.parquet"]) == 0
    (run_id,) = xc.runs().index
    run = xc.open_run(run_id)
    if kind == "string_view":  # of which pandas can do nothing
        write(table(KINDS["string"]), "c.parquet")
    frame = tables.read("c.parquet" if kind == "string_view" else "a.parquet").frame
    is_the_same(pd.read_parquet("b.parquet"), xc.join(frame, "id", run))
    truth = box.expected(ids())
    assert pd.read_parquet("b.parquet")["compliance_status"].tolist() == truth["status"].tolist()
    assert set(truth["status"]) == {"compliant", "action_required", "unchecked"}

    written = pq.read_table("b.parquet")
    assert written.select(data.column_names).equals(pq.read_table("a.parquet"), check_metadata=True)
    assert written.schema.metadata == {b"of": b"a study"}
    assert written.column_names == [*data.column_names, *(f"compliance_{name}" for name in VERDICTS)]
    assert groups_of("b.parquet") == (list(GROUPS) if pieces == "whole" else [5, 0, 4, 3, 1, 5, 5, 5, 5, 0])


def test_words_are_the_same_in_all_row_groups(here: Path, monkeypatch: pytest.MonkeyPatch, small: None) -> None:
    """A word that X adds later, met in one row group only, is a category of all of them, and none loses its own."""
    lines = [
        f'{{"id":"{ids()[0]}","action":"delete","reason":"zebra"}}',
        f'{{"id":"{ids()[20]}","action":"hide","reason":"apple"}}',
        f'{{"id":"{ids()[21]}","action":"delete","reason":"suspended"}}',
        f'{{"id":"{ids()[22]}","error":"odd"}}',
    ]
    write(table(KINDS["int64"]))
    with xc.Sandbox(findings=lines, complete_after=1) as box:
        aim(monkeypatch, box)
        monkeypatch.setattr(client, "Client", functools.partial(xc.Client, poll_interval=0.0, batch_size=6))
        assert main(["check", "a.parquet", "id", "-o", "b.parquet"]) == 3
        (run_id,) = xc.runs().index
        whole = xc.join(tables.read("a.parquet").frame, "id", xc.open_run(run_id))
    assert xc.runs()["batches"].tolist()[0] > 3
    ours, time = pd.read_parquet("b.parquet"), "compliance_checked_at"
    assert ours[time].isna().tolist() == whole[time].isna().tolist()
    # An ID of several batches was checked several times; a row of it tells when its own batch was.
    is_the_same(ours.assign(**{time: whole[time]}), whole)
    assert ours["compliance_reason"].cat.categories.tolist()[-3:] == ["apple", "zebra", "odd"]
    file = pq.ParquetFile("b.parquet")
    for name in ("status", "action", "reason", "run"):
        chunks = [
            chunk
            for group, rows in enumerate(groups_of("b.parquet"))
            if rows
            for chunk in file.read_row_group(group).column(f"compliance_{name}").chunks
        ]
        assert all(chunk.dictionary.equals(chunks[0].dictionary) for chunk in chunks), name


def test_an_id_of_several_row_groups(here: Path, box: xc.Sandbox, monkeypatch: pytest.MonkeyPatch, small: None) -> None:
    """An ID that stands in several batches gets its verdict in all of its rows."""
    aim(monkeypatch, box)
    monkeypatch.setattr(client, "Client", functools.partial(xc.Client, poll_interval=0.0, batch_size=3))
    write(table(KINDS["int64"]))
    assert main(["check", "a.parquet", "id", "-o", "b.parquet"]) == 0
    status = pd.read_parquet("b.parquet")["compliance_status"].tolist()
    assert status == box.expected(ids())["status"].tolist()
    assert status[1] == status[8] == status[31]


def same_rows() -> pd.DataFrame:
    """Posts with a missing and an invalid ID, to be saved in two formats."""
    frame = posts()
    frame.loc[4, "id"], frame.loc[5, "id"] = None, "12 "
    return frame


@pytest.mark.parametrize("type", ["tweets", "users"])
def test_summary_notes_picture_and_report_are_those_of_other_formats(
    here: Path,
    box: xc.Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    small: None,
    type: str,
) -> None:
    """What is told, drawn and reported of a file in pieces is to the letter what it is of the same rows in a csv."""
    aim(monkeypatch, box)
    monkeypatch.setitem(matplotlib.rcParams, "svg.hashsalt", "the same names in both pictures")
    frame, column = same_rows(), "id" if type == "tweets" else "author_id"
    save(frame, "a.csv")
    write(pa.Table.from_pandas(frame), groups=(7, 13, 20))
    told = []
    for name in ("a.csv", "a.parquet"):
        arguments = ["check", name, column, "--type", type, "--fresh", "--plot", "p.png", "--report", "r.html"]
        assert main(arguments) == 0
        told.append(capsys.readouterr())
    assert told[0] == told[1]
    assert ("2 of 40 rows" in told[0].err) is False
    assert ("1 of 40 rows in column 'id' hold no ID: row 5: '12 ' (spaces)" in told[0].err) is (type == "tweets")

    run_id, made = xc.runs().index[0], []
    for name in ("a.csv", "a.parquet"):
        assert main(["resume", run_id, name, column, "--plot", "p.png", "--report", "r.html"]) == 0
        page = re.sub(r"\d\d:\d\d:\d\d UTC", "", Path("r.html").read_text(encoding="utf-8"))  # it says when it was made
        made.append((Path("p.png").read_bytes(), page))
    assert made[0] == made[1]
    assert made[1][1].count("<figure>") == (4 if type == "tweets" else 3)


@pytest.mark.parametrize("options", [["--plot", "p.png"], ["--report", "r.html"], []])
def test_only_what_is_drawn_is_kept(
    here: Path, monkeypatch: pytest.MonkeyPatch, box: xc.Sandbox, options: list[str]
) -> None:
    """Of each row as few bytes are kept as picture or report need, and none at all without them."""
    aim(monkeypatch, box)
    save(posts(), "a.parquet")
    kept: list[pd.DataFrame] = []
    finish = cli._finish
    monkeypatch.setattr(cli, "_finish", lambda p, c, outcome: kept.append(outcome.frame) or finish(p, c, outcome))
    assert main(["check", "a.parquet", "id", *options]) == 0
    bytes_ = [(c.cat.codes if hasattr(c, "cat") else c).to_numpy().itemsize for _, c in kept[0].items()]
    assert sum(bytes_) == (11 if "--plot" in options else 36 if options else 0)


def test_overwrite_replaces_in_place(
    here: Path, box: xc.Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Verdict columns that are there are refused before any request, and replaced where they stand if asked."""
    aim(monkeypatch, box)
    frame = posts().assign(compliance_status="old", last=1)
    save(frame, "a.parquet")
    assert main(["check", "a.parquet", "id", "-o", "a.parquet"]) == 1
    assert "The columns compliance_status exist already" in capsys.readouterr().err
    assert not box.service.requests
    for _ in range(2):  # pandas' description of the columns may be an old one
        assert main(["check", "a.parquet", "id", "-o", "a.parquet", "--overwrite"]) == 0
    rows = pd.read_parquet("a.parquet")
    assert rows.columns.tolist()[:6] == [*frame.columns, "compliance_action"]
    assert rows["compliance_status"].tolist() == box.expected(frame["id"])["status"].tolist()


def test_the_index_of_pandas_stays(here: Path, box: xc.Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was an index when pandas wrote the file is one when pandas reads it again, with categories as they were."""
    aim(monkeypatch, box)
    frame = posts().set_index(pd.Index(range(100, 140), name="row"))
    frame["kind"] = pd.Categorical(["b"] * 40, categories=["c", "b", "a"], ordered=True)
    frame.to_parquet("a.parquet", row_group_size=9)
    assert main(["check", "a.parquet", "id", "-o", "b.parquet"]) == 0
    pd.testing.assert_frame_equal(pd.read_parquet("b.parquet")[frame.columns], pd.read_parquet("a.parquet"))
    assert pd.read_parquet("b.parquet").index.tolist() == list(range(100, 140))


def test_what_would_hide_the_new_columns_goes(here: Path, box: xc.Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Spark's own description of the columns, which it would believe before ours, is not carried over."""
    aim(monkeypatch, box)
    metadata = {"org.apache.spark.sql.parquet.row.metadata": "{}", "org.apache.spark.version": "3.5.0"}
    write(table(KINDS["int64"]).replace_schema_metadata(metadata), compression="zstd")
    assert main(["check", "a.parquet", "id", "-o", "b.parquet"]) == 0
    assert pq.read_schema("b.parquet").metadata == {b"org.apache.spark.version": b"3.5.0"}
    assert pq.ParquetFile("b.parquet").metadata.row_group(0).column(0).compression == "ZSTD"


@pytest.mark.parametrize("groups", [(), (0,), (2,)])
def test_no_ids(
    here: Path,
    box: xc.Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    groups: tuple[int, ...],
) -> None:
    """A file without rows or without IDs sends nothing, says so, and is written with unchecked rows."""
    aim(monkeypatch, box)
    write(pa.table({"id": pa.nulls(sum(groups), pa.string())}), groups=groups)
    arguments = ["check", "a.parquet", "id", "-o", "b.parquet", "--plot", "p.png", "--report", "r.html"]
    assert main(arguments) == 0
    out, err = capsys.readouterr()
    assert "nothing was sent" in err
    assert f"Wrote {sum(groups)} rows" in out
    rows = pd.read_parquet("b.parquet")
    assert rows["compliance_status"].tolist() == ["unchecked"] * sum(groups)
    assert str(rows["compliance_checked_at"].dtype) == "datetime64[us, UTC]"
    assert groups_of("b.parquet") == list(groups)
    assert not box.service.requests


def test_text_is_disarmed(here: Path, box: xc.Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """--excel-safe puts an apostrophe before formulas in text of all kinds, X's words too, but not before IDs."""
    number = str(FIRST)
    words = ["=1", None, "'=1", "a=", "@b"]
    columns = {
        "id": pa.array([number, "-5", None, None, None]),
        "text": pa.array(words),
        "large": pa.array(words, pa.large_string()),
        "kind": pa.array(words).dictionary_encode(),
        "n": pa.array([-1, 2, 3, 4, 5]),
    }
    if "string_view" in KINDS:
        columns["view"] = pa.array(words).cast("string_view")
    write(pa.table(columns), groups=(2, 3))
    with xc.Sandbox(findings=[f'{{"id":"{number}","action":"delete","reason":"=cmd"}}'], complete_after=1) as box:
        aim(monkeypatch, box)
        assert main(["check", "a.parquet", "id", "--excel-safe", "-o", "b.parquet"]) == 0
    written = pq.read_table("b.parquet")
    for name in sorted(columns.keys() - {"id", "n"}):
        assert written[name].to_pylist() == ["'=1", None, "'=1", "a=", "'@b"], name
        assert written[name].type == pq.read_schema("a.parquet").field(name).type
    assert written["id"].to_pylist() == columns["id"].to_pylist()
    assert written["n"].to_pylist() == [-1, 2, 3, 4, 5]
    assert written["compliance_reason"].to_pylist()[0] == "'=cmd"
    assert pd.read_parquet("b.parquet")["kind"].cat.categories.is_unique


# --------------------------------------------------------------------------- going wrong


@pytest.mark.parametrize("fault", ["disk", "ctrl-c"])
def test_a_failure_leaves_the_old_file_and_no_other(
    here: Path,
    box: xc.Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    small: None,
    fault: str,
) -> None:
    """A full disk or Ctrl-C in the middle of writing leaves what was there; the command that is told goes on."""
    aim(monkeypatch, box)
    write(table(KINDS["int64"]))
    Path("b.parquet").write_bytes(b"old")
    verdicts = Source.verdicts

    def broken(source: Source, ids: Any, part: int | None) -> pd.DataFrame:
        if part == 2:
            assert list(here.glob(".b.parquet.*.tmp")), "nothing was half-written"
            raise OSError(28, "No space left on device") if fault == "disk" else KeyboardInterrupt
        return verdicts(source, ids, part)

    with monkeypatch.context() as patch:
        patch.setattr(Source, "verdicts", broken)
        assert main(["check", "a.parquet", "id", "-o", "b.parquet"]) == (1 if fault == "disk" else 130)
    err = capsys.readouterr().err
    assert Path("b.parquet").read_bytes() == b"old"
    assert {path.name for path in here.iterdir()} == {"a.parquet", "b.parquet"}
    hint = re.search(r"^To go on: xcompliance (resume sandbox-\S+ a\.parquet id -o b\.parquet)$", err, re.M)
    assert hint is not None
    assert main(hint[1].split()) == 0
    assert box.service.requests["create"] == 1
    assert pd.read_parquet("b.parquet")["compliance_status"].tolist() == box.expected(ids())["status"].tolist()


def test_a_file_that_is_damaged_further_on(
    here: Path, box: xc.Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A row group that cannot be read is found before anything is sent, and leaves no run behind."""
    aim(monkeypatch, box)
    write(pa.table({"id": pa.array([str(FIRST + n) for n in range(4000)])}), groups=(2000, 2000), use_dictionary=False)
    place = pq.ParquetFile("a.parquet").metadata.row_group(1).column(0).data_page_offset
    with open("a.parquet", "r+b") as file:
        file.seek(place)
        file.write(b"\xff" * 200)
    assert main(["check", "a.parquet", "id"]) == 1
    assert "a.parquet cannot be read as Parquet" in capsys.readouterr().err
    assert not box.service.requests
    assert xc.runs().empty
    assert not list((Path(os.environ["XCOMPLIANCE_HOME"]) / "runs").glob("*/ids-*"))


def test_a_file_that_is_replaced_while_a_job_runs(here: Path, box: xc.Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is written is what was sent, also if another file took its name in the meantime."""
    aim(monkeypatch, box)
    write(table(KINDS["int64"]))
    wait = cli.asking.wait

    def replaced(*arguments: Any) -> None:
        wait(*arguments)
        save(posts(3), "c.parquet")
        os.replace("c.parquet", "a.parquet")

    monkeypatch.setattr(cli.asking, "wait", replaced)
    assert main(["check", "a.parquet", "id", "-o", "b.parquet"]) == 0
    assert pd.read_parquet("b.parquet")["compliance_status"].tolist() == box.expected(ids())["status"].tolist()


def test_unproved_rows_are_status_3(here: Path, monkeypatch: pytest.MonkeyPatch, small: None) -> None:
    """Rows of a result with a line that cannot be read stay unchecked, which the exit status tells."""
    write(table(KINDS["int64"]))
    lines = [f'{{"id":"{ids()[2]}","action":"delete","reason":"deleted"}}', "{broken"]
    with xc.Sandbox(findings=lines, complete_after=1) as box:
        aim(monkeypatch, box)
        assert main(["check", "a.parquet", "id", "-o", "b.parquet"]) == 3
    status = pd.read_parquet("b.parquet")["compliance_status"].tolist()
    assert status == ["action_required" if n == 2 else "unchecked" for n in range(ROWS)]


def test_partial(here: Path, monkeypatch: pytest.MonkeyPatch, small: None) -> None:
    """resume --partial writes what there is while a job runs: nothing is known of any row."""
    write(table(KINDS["int64"]))
    with xc.Sandbox(processing_seconds=3600) as box:
        aim(monkeypatch, box)
        with pytest.raises(xc.WaitTimeout):
            xc.check(tables.read("a.parquet").frame, "id", client=quick(box, poll_interval=0.05), timeout=0.1)
        (run_id,) = xc.runs().index
        assert main(["resume", run_id, "a.parquet", "id", "--partial", "-o", "b.parquet"]) == 3
    assert set(pd.read_parquet("b.parquet")["compliance_status"]) == {"unchecked"}


@pytest.mark.parametrize(
    ("column", "words"),
    [
        (pa.array([True, False]), "which cannot hold IDs"),
        (pa.array([float(FIRST), 1.0]), "holds 1 floating-point numbers so large that their last digits"),
        (pa.array([5, 6]), "are no plausible post IDs"),
    ],
)
def test_columns_that_hold_no_ids(
    here: Path,
    box: xc.Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    column: Any,
    words: str,
) -> None:
    """A column that cannot be one of posts is refused; nothing is sent and no run is left."""
    aim(monkeypatch, box)
    write(pa.table({"id": column}), groups=(1, 1))
    assert main(["check", "a.parquet", "id", "-o", "b.parquet"]) == 1
    assert words in capsys.readouterr().err
    assert not box.service.requests
    assert xc.runs().empty
    assert not Path("b.parquet").exists()


def test_columns_are_listed(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A column that is not there is answered with those that are, and those that look like IDs."""
    write(table(KINDS["string"]))
    assert main(["check", "a.parquet", "ids", "--sandbox"]) == 1
    err = capsys.readouterr().err
    assert "a.parquet has no column 'ids'. Did you mean 'id'?" in err
    assert "'packed.name'; column 'id' looks like IDs" in err


def test_refusals(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder, a missing file, another format and a missing pyarrow are told as for a whole table."""
    Path("d.parquet").mkdir()
    Path("e.parquet").write_bytes(b"PAR1 no")
    save(posts(3), "a.parquet")
    for name, words in (("d", "is a folder"), ("n", "no such file"), ("e", "cannot be read as Parquet")):
        with pytest.raises(InputError, match=words):
            tables.in_pieces(f"{name}.parquet", None)
    assert tables.in_pieces("a.csv", None) is None
    assert tables.in_pieces("a.parquet", "b.csv") is None
    monkeypatch.setitem(sys.modules, "xcompliance_pd.tables.parquet", None)
    with pytest.raises(InputError, match=r"pip install \"xcompliance-pd\[arrow\]\""):
        tables.in_pieces("a.parquet", None)


def test_a_column_is_cut_the_same_each_time(here: Path, small: None) -> None:
    """Small row groups are gathered and large ones cut into pieces of at most so many rows; positions go on."""
    write(table(KINDS["int64"]))
    source = parquet.Parquet(Path("a.parquet"))
    twice = [list(source.column("id")) for _ in range(2)]
    assert [len(piece) for piece in twice[0]] == [len(piece) for piece in twice[1]] == [5, 6, 2, 6, 6, 6, 2]
    joined = pd.concat(twice[0])
    assert joined.index.tolist() == list(range(ROWS))
    assert [None if pd.isna(cell) else cell for cell in joined] == ids()


def test_a_wide_row_group_is_cut_by_its_bytes(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row group of few but large rows is read and written in slices."""
    write(pa.table({"id": pa.array(range(1, 101)), "text": ["x" * 1000 + str(n) for n in range(100)]}), groups=(100,))
    monkeypatch.setattr(parquet, "BYTES", 30_000)
    source = parquet.Parquet(Path("a.parquet"))
    with open("b.parquet", "wb") as file:
        source.write(file, iter([pd.DataFrame({"n": range(60)}), pd.DataFrame({"n": range(60, 100)})]), "id")
    assert groups_of("b.parquet") == [25] * 4
    assert pq.read_table("b.parquet")["n"].to_pylist() == list(range(100))


def test_a_large_file_is_right_in_a_process_of_its_own() -> None:
    """The benchmark, on a file of several row groups, finds no row that is wrong."""
    script = Path(__file__).parents[1] / "benchmarks" / "parquet_run.py"
    arguments = [sys.executable, script, "--rows", "30000", "--group", "9000", "--plot", "--report"]
    ended = subprocess.run(arguments, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 0, ended.stderr
    assert re.match(r"30,000 rows in row groups of 9,000, .* at most \d+ MiB; every row is right\n", ended.stdout)


def test_overwrite_takes_away_what_an_earlier_check_added(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cause, references and parts of an earlier check are not true beside new verdicts; the rest of the file stays."""
    with xc.Sandbox(complete_after=1) as box:
        aim(monkeypatch, box)
        frame = posts(6).assign(author_id="7", last=1)
        first = frame.compliance.check(
            {"id": "tweets", "author_id": "users"}, references={"id": "quoted"}, client=quick(box)
        )
        save(first, "a.parquet")
        assert main(["check", "a.parquet", "id", "--type", "tweets", "--overwrite", "-o", "b.parquet"]) == 0
    left = pd.read_parquet("b.parquet").columns.tolist()
    assert left == [*frame.columns, *(f"compliance_{name}" for name in VERDICTS)]


def test_a_file_that_could_tell_more_is_told_so(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As for a table in memory, unless --type says that posts alone are meant."""
    save(posts(6).assign(author_id="7"), "a.parquet")
    with xc.Sandbox(complete_after=1) as box:
        aim(monkeypatch, box)
        for more, said in (([], True), (["--type", "tweets"], False)):
            main(["check", "a.parquet", "id", "-o", "b.parquet", *more])
            assert ("--author author_id" in capsys.readouterr().err) == said
