"""No cell changes, no row vanishes, no output is destroyed, and every refusal says what to do."""

import gzip
import json
import os
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xcompliance_pd import tables
from xcompliance_pd.errors import InputError
from xcompliance_pd.ids import parse

A, B, C = "1228393702244134912", "1417856744319971329", "9223372036854775807"


@pytest.fixture
def file(tmp_path):
    def make(name, content):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return make


def cells(table):
    return [[None if pd.isna(cell) else cell for cell in row] for row in table.frame.itertuples(index=False)]


def refused(call, *arguments):
    with pytest.raises(InputError) as caught:
        call(*arguments)
    return str(caught.value)


# --------------------------------------------------------------------------- reading


def test_csv_cells_are_text_as_they_stand(file):
    table = tables.read(file("a.csv", f'id,note,n\n{A}, NA ,007\n1.25E+18,"a, ""b""\nc",1.0\n,nan,\n'))
    assert table.frame.columns.tolist() == ["id", "note", "n"]
    assert cells(table) == [[A, " NA ", "007"], ["1.25E+18", 'a, "b"\nc', "1.0"], [None, "nan", None]]
    assert (table.format, table.headerless, table.notes) == ("csv", False, ())


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
def test_line_ends_and_byte_order_mark(file, bom, end):
    table = tables.read(file("a.csv", bom + end.join(["id,x", f"{A},1", f"{B},2"]).encode()))
    assert table.frame.columns.tolist() == ["id", "x"]
    assert cells(table) == [[A, "1"], [B, "2"]]


def test_blank_lines_are_rows(file):
    assert cells(tables.read(file("a.csv", f"\nid,x\n{A},1\n\n{B},2\n"))) == [[A, "1"], [None, None], [B, "2"]]
    assert cells(tables.read(file("a.txt", f"\n\n{A}\n\n{B}\n\n"))) == [[None], [None], [A], [None], [B], [None]]


def test_two_quoted_columns_without_header(file):
    table = tables.read(file("a.tsv", f'"acme"\t"{A}"\n"other"\t"{B}"\n'))
    assert table.headerless
    assert table.frame.columns.tolist() == [1, 2]
    assert cells(table) == [["acme", A], ["other", B]]
    assert "no header" in table.notes[0]
    assert tables.column(table, "2") == 2


@pytest.mark.parametrize("first", [A, "12", f" {A} ", f"'{A}", "1.25E+18", f"https://x.com/a/status/{A}", f"\u200b{A}"])
def test_a_list_whose_first_row_is_an_id_even_a_damaged_one_has_no_header(file, first):
    table = tables.read(file("a.txt", f"{first}\n{B}\n"))
    assert cells(table) == [[first], [B]]
    assert tables.column(table, None) == 1


@pytest.mark.parametrize("header", ["id", "Tweet ID", "tweet_id", "ids2020"])
def test_a_list_with_a_header(file, header):
    table = tables.read(file("a.txt", f"{header}\n{A}\n"))
    assert not table.headerless
    assert tables.column(table, None) == header


@pytest.mark.parametrize("name", ["a.txt", "a.ids", "a.dat", "a"])
@pytest.mark.parametrize("separator", ["\t", ",", ";"])
def test_lists_may_be_tables(file, name, separator):
    table = tables.read(file(name, f"id{separator}x\n{A}{separator}1\n"))
    assert cells(table) == [[A, "1"]]
    assert len(table.notes) == (separator != "\t")


def test_csv_with_semicolons_is_said_aloud(file):
    table = tables.read(file("a.csv", f"id;x\n{A};1,5\n"))
    assert cells(table) == [[A, "1,5"]]
    assert "semicolons" in table.notes[0]


def test_columns_of_the_same_or_no_name_keep_it(file):
    table = tables.read(file("a.csv", f",id,id\n0,{A},{B}\n"))
    assert table.frame.columns.tolist() == ["", "id", "id"]
    assert "2 columns named 'id'" in refused(tables.column, table, "id")


def test_packed_text(file):
    table = tables.read(file("a.csv.gz", gzip.compress(f"id,x\n{A},1\n".encode())))
    assert cells(table) == [[A, "1"]]
    assert "not a whole gzip" in refused(tables.read, file("b.csv.gz", b"id\n1\n"))
    assert "not a whole gzip" in refused(tables.read, file("c.csv.gz", gzip.compress(b"id,x\n" * 99)[:-5]))


def test_jsonl_keeps_values_exact(file):
    lines = [f'{{"id": {A}, "geo": {{"a": [1]}}}}', "", f'{{"id": "{B}", "n": null}}', f'{{"id": {C}, "n": NaN}}']
    table = tables.read(file("a.jsonl", "\n".join(lines)))
    assert table.frame.columns.tolist() == ["id", "geo", "n"]
    assert table.frame["id"].tolist() == [int(A), B, int(C)]
    assert parse(table.frame["id"], "id").values.tolist() == [int(A), int(B), int(C)]
    assert table.frame["geo"].tolist() == [{"a": [1]}, None, None]
    assert tables.read(file("a.ndjson", "{}\n{}\n")).frame.shape == (2, 0)


@pytest.mark.parametrize("bad", ["[1]", '{"id": 1', "1", '{"id": "\xe9"}'.encode("latin-1"), "[" * 100_000])
def test_jsonl_names_the_bad_line(file, bad):
    data = b'{"id": 1}\n\n' + (bad if isinstance(bad, bytes) else bad.encode()) + b"\n"
    text = refused(tables.read, file("a.jsonl", data))
    assert "line 3" in text
    assert "one object a line" in text


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.xlsx", b"", ["export as CSV", "as text"]),
        ("a.json", b"[]", ["one object a line"]),
        ("a.parquet.gz", b"", ["not supported"]),
        ("a.csv", b"", ["is empty"]),
        ("a.txt", b"\xef\xbb\xbf\n\n", ["is empty"]),
        ("a.jsonl", b"\n", ["is empty"]),
        ("a.csv", "id\n1\n".encode("utf-16"), ["UTF-16", "CSV UTF-8"]),
        ("a.csv", "id\n1\n".encode("utf-16-le"), ["NUL", "UTF-8"]),
        ("a.csv", b"id\n123\x00456\n", ["NUL"]),
        ("a.csv", b"id,x\n1,caf\xe9\n", ["not UTF-8", "CSV UTF-8"]),
        ("a.csv", b"\nid,x\n1,2\n1,2,3\n", ["line 4", "3 cells", "2", "commas"]),
        ("a.csv", b'id,x\n1,"2\n3,4\n', ["quotation mark", "Repair"]),
    ],
)
def test_unfit_files_are_refused_with_the_next_step(file, name, content, words):
    text = refused(tables.read, file(name, content))
    assert all(word in text for word in words)
    assert name in text


def test_missing_file_and_folder(tmp_path):
    assert "no such file" in refused(tables.read, tmp_path / "no.csv")
    assert "no such file" in refused(tables.read, str(tmp_path / "no.csv"))
    (tmp_path / "folder").mkdir()
    assert "is a folder" in refused(tables.read, tmp_path / "folder")
    (tmp_path / "plain").write_text("1\n")
    assert "cannot be read" in refused(tables.read, tmp_path / "plain" / "a.csv")


# --------------------------------------------------------------------------- choosing a column


def test_column_by_name(file):
    table = tables.read(file("a.csv", f"id,author_id,text\n{A},12345,hello\n{B},,bye\n"))
    assert tables.column(table, "author_id") == "author_id"
    text = refused(tables.column, table, None)
    assert "3 columns" in text
    assert "'id', 'author_id', 'text'" in text
    assert "columns 'id', 'author_id' look like IDs" in text
    text = refused(tables.column, table, "auther_id")
    assert "no column 'auther_id'" in text
    assert "Did you mean 'author_id'?" in text
    assert "'text'" in text
    assert "Did you mean" not in refused(tables.column, table, "zzz")


def test_column_by_number(file):
    table = tables.read(file("a.tsv", f"acme\t{A}\n"))
    for name in (None, "id", "3"):
        text = refused(tables.column, table, name)
        assert "columns are numbers 1 to 2" in text
        assert "column 2 looks like IDs" in text


# --------------------------------------------------------------------------- writing


def with_verdicts(table):
    rows = range(len(table.frame))
    return table.frame.assign(
        compliance_status=pd.Categorical(["compliant" if n % 2 else None for n in rows]),
        compliance_redacted_at=pd.to_datetime(
            ["2024-05-06T07:08:09.5Z" if n % 2 == 0 else None for n in rows], utc=True
        ),
    )


def test_csv_round_trip_and_advice(file, tmp_path):
    content = f'id,note\n{A}," NA "\n1.25E+18,"a\rb"\n,"c,d\n"\n'
    table = tables.read(file("a.csv", content))
    notes = tables.write(table, with_verdicts(table), tmp_path / "out.csv")
    again = tables.read(tmp_path / "out.csv")
    assert [row[:2] for row in cells(again)] == cells(table)
    assert [row[2:] for row in cells(again)] == [
        [None, "2024-05-06T07:08:09.500000Z"],
        ["compliant", None],
        [None, "2024-05-06T07:08:09.500000Z"],
    ]
    assert 'pd.read_csv("out.csv"' in notes[0]
    assert 'parse_dates=["compliance_redacted_at"]' in notes[0]


def test_the_advice_for_csv_works(file, tmp_path, monkeypatch):
    table = tables.read(file("a.tsv", f"acme\t{A}\nother\t\n"))
    for name in ("out.csv", "out.tsv"):
        (note,) = tables.write(table, with_verdicts(table), tmp_path / name)
        monkeypatch.chdir(tmp_path)
        frame = eval(note.removeprefix("Read it back with: "))
        assert frame["2"].tolist()[0] == A
        assert frame["compliance_redacted_at"].dt.year.tolist()[0] == 2024


def test_the_advice_for_jsonl_works(file, tmp_path, monkeypatch):
    table = tables.read(file("a.jsonl", f'{{"id": "{A}"}}\n{{"id": null}}\n'))
    (note,) = tables.write(table, with_verdicts(table), tmp_path / "out.jsonl")
    monkeypatch.chdir(tmp_path)
    if pd.__version__ < "3":  # later ones announce another default for convert_dates
        assert eval(note.removeprefix("Read it back with: "))["id"].tolist()[0] == A


def test_a_list_is_written_as_a_list(file, tmp_path):
    content = f"{A}\n\n{B}\n"
    table = tables.read(file("a.txt", content))
    (note,) = tables.write(table, table.frame, tmp_path / "out.txt")
    assert cells(tables.read(tmp_path / "out.txt")) == cells(table)
    assert "header=None" in note
    tables.write(table, with_verdicts(table), tmp_path / "more.txt")
    assert (tmp_path / "more.txt").read_text().startswith(f"1\tcompliance_status\tcompliance_redacted_at\n{A}\t")


def test_jsonl_records_keep_their_shape(file, tmp_path):
    lines = [{"id": int(A), "geo": {"a": [1.5, None]}, "text": "é ☀"}, {"id": B, "n": None}, {"id": None, "ok": True}]
    table = tables.read(file("a.jsonl", "\n".join(json.dumps(line) for line in lines)))
    tables.write(table, with_verdicts(table), tmp_path / "out.jsonl")
    text = (tmp_path / "out.jsonl").read_text(encoding="utf-8")
    added = [
        {"compliance_status": None, "compliance_redacted_at": "2024-05-06T07:08:09.500000Z"},
        {"compliance_status": "compliant", "compliance_redacted_at": None},
        {"compliance_status": None, "compliance_redacted_at": "2024-05-06T07:08:09.500000Z"},
    ]
    assert [json.loads(line) for line in text.splitlines()] == [a | b for a, b in zip(lines, added, strict=True)]
    assert "é ☀" in text


def test_dropped_rows_and_blanked_cells_are_written_so(file, tmp_path):
    table = tables.read(file("a.jsonl", f'{{"id": "{A}"}}\n{{"id": "{B}", "geo": {{"lat": 1}}}}\n'))
    clean = table.frame.iloc[1:].assign(geo=None)
    tables.write(table, clean, tmp_path / "out.jsonl")
    assert json.loads((tmp_path / "out.jsonl").read_text()) == {"id": B, "geo": None}


def test_half_a_surrogate_pair_survives(file, tmp_path):
    table = tables.read(file("a.jsonl", '{"id": 5, "text": "\\ud800"}\n'))
    tables.write(table, table.frame, tmp_path / "out.jsonl")
    assert json.loads((tmp_path / "out.jsonl").read_text()) == {"id": 5, "text": "\ud800"}
    tables.write(table, table.frame, tmp_path / "out.csv")
    assert "\\ud800" in (tmp_path / "out.csv").read_text()


@pytest.mark.parametrize("source", ["a.csv", "a.tsv", "a.txt", "a.jsonl"])
@pytest.mark.parametrize("target", ["o.csv", "o.tsv", "o.csv.gz", "o.ids", "o.jsonl", "o.jsonl.gz"])
def test_any_format_can_be_written_as_any_other(file, tmp_path, source, target):
    rows = [[A, "x,\ty"], [None, "z"], [B, None]]
    if source == "a.jsonl":
        content = "\n".join(json.dumps({"id": a, "t": b}) for a, b in rows)
    else:
        mark = "," if source == "a.csv" else "\t"
        content = "\n".join([f"id{mark}t", *(f'{a or ""}{mark}"{b or ""}"' for a, b in rows)])
    table = tables.read(file(source, content))
    tables.write(table, table.frame, tmp_path / target)
    again = tables.read(tmp_path / target)
    assert cells(again) == rows
    assert parse(again.frame["id"], "id").values.tolist() == [int(A), 0, int(B)]


def test_nested_values_are_json_in_csv(file, tmp_path):
    table = tables.read(file("a.jsonl", '{"id": 5, "geo": {"a": null}}\n'))
    tables.write(table, table.frame, tmp_path / "o.csv")
    assert cells(tables.read(tmp_path / "o.csv")) == [["5", '{"a": null}']]


text_cells = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\ufeff"), max_size=8)


@given(rows=st.lists(st.tuples(text_cells, text_cells), max_size=6), target=st.sampled_from(["o.csv", "o.tsv"]))
def test_any_text_survives_a_round_trip(rows, target, tmp_path_factory):
    path = tmp_path_factory.mktemp("round") / target
    frame = pd.DataFrame([("a", "b"), *rows], columns=["id", "text"], dtype=object)
    source = tables.Table(frame, "csv", (), False, path)
    tables.write(source, frame, path)
    expected = [[cell or None for cell in row] for row in frame.itertuples(index=False)]
    assert cells(tables.read(path)) == expected


def test_packed_output_is_the_same_each_time(file, tmp_path):
    table = tables.read(file("a.csv", f"id\n{A}\n"))
    tables.write(table, table.frame, tmp_path / "o.csv.gz")
    first = (tmp_path / "o.csv.gz").read_bytes()
    tables.write(table, table.frame, tmp_path / "p.csv.gz")
    assert (tmp_path / "p.csv.gz").read_bytes() == first


def test_columns_of_one_name_are_not_merged(file, tmp_path):
    table = tables.read(file("a.csv", f"id,id\n{A},{B}\n"))
    for name in ("o.jsonl", "o.parquet"):
        assert "same name" in refused(tables.write, table, table.frame, tmp_path / name)
    tables.write(table, table.frame, tmp_path / "o.csv")
    assert (tmp_path / "o.csv").read_text() == f"id,id\n{A},{B}\n"


# --------------------------------------------------------------------------- failing safely


@pytest.fixture
def table(file):
    return tables.read(file("a.csv", f"id\n{A}\n"))


def test_places_that_cannot_be_written(table, tmp_path):
    assert "cannot be written" in refused(tables.write, table, table.frame, tmp_path / "no" / "o.csv")
    (tmp_path / "folder.csv").mkdir()
    assert "is not a file" in refused(tables.write, table, table.frame, tmp_path / "folder.csv")
    assert "not supported" in refused(tables.write, table, table.frame, tmp_path / "o.xlsx")


@pytest.mark.parametrize("name", ["o.csv", "o.jsonl", "o.csv.gz"])
@pytest.mark.parametrize("fault", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failure_leaves_the_old_file_and_no_other(table, tmp_path, monkeypatch, name, fault):
    def fail(_):
        raise fault

    (tmp_path / name).write_bytes(b"old")
    before = sorted(tmp_path.iterdir())
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises((InputError, KeyboardInterrupt)) as caught:
        tables.write(table, table.frame, tmp_path / name)
    if isinstance(fault, OSError):
        assert "No space left" in str(caught.value)
    assert (tmp_path / name).read_bytes() == b"old"
    assert sorted(tmp_path.iterdir()) == before


def test_replacing_keeps_mode_and_symbolic_link(table, tmp_path):
    (tmp_path / "real.csv").write_text("old")
    (tmp_path / "real.csv").chmod(0o640)
    (tmp_path / "link.csv").symlink_to(tmp_path / "real.csv")
    tables.write(table, table.frame, tmp_path / "link.csv")
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "real.csv").read_text() == f"id\n{A}\n"
    assert (tmp_path / "real.csv").stat().st_mode & 0o777 == 0o640


# --------------------------------------------------------------------------- Parquet


def test_parquet_without_pyarrow_says_how_to_install_it(table, tmp_path, monkeypatch):
    def missing(*_, **__):
        raise ImportError("pyarrow")

    monkeypatch.setattr(pd, "read_parquet", missing)
    monkeypatch.setattr(pd.DataFrame, "to_parquet", missing)
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    for text in (
        refused(tables.read, tmp_path / "a.parquet"),
        refused(tables.write, table, table.frame, tmp_path / "o.pq"),
    ):
        assert 'pip install "xcompliance-pd[arrow]"' in text


def test_parquet_integers_beside_missing_values_stay_exact(tmp_path):
    pytest.importorskip("pyarrow")
    frame = pd.DataFrame({"id": pd.array([int(B), None, int(C)], dtype="Int64"), "t": ["a", "b", None]})
    frame.to_parquet(tmp_path / "a.parquet")
    table = tables.read(tmp_path / "a.parquet")
    assert parse(table.frame["id"], "id").values.tolist() == [int(B), 0, int(C)]
    assert tables.write(table, with_verdicts(table), tmp_path / "o.pq") == ()
    again = tables.read(tmp_path / "o.pq").frame
    assert parse(again["id"], "id").values.tolist() == [int(B), 0, int(C)]
    assert again["compliance_redacted_at"].dt.year.tolist()[0] == 2024
    tables.write(table, with_verdicts(table), tmp_path / "o.jsonl")
    first = json.loads((tmp_path / "o.jsonl").read_text().splitlines()[0])
    assert first == {
        "id": int(B), "t": "a", "compliance_status": None, "compliance_redacted_at": "2024-05-06T07:08:09.500000Z"
    }  # fmt: skip
    tables.write(table, with_verdicts(table), tmp_path / "o.csv")
    assert (tmp_path / "o.csv").read_text().splitlines()[1].startswith(f"{B},a,,2024-05-06T07:08:09")


def test_parquet_index_becomes_columns(tmp_path):
    pytest.importorskip("pyarrow")
    frame = pd.DataFrame({"id": [A, B]}, index=pd.Index([7, 8], name="row"))
    frame.to_parquet(tmp_path / "a.parquet")
    assert tables.read(tmp_path / "a.parquet").frame.columns.tolist() == ["row", "id"]
    frame.iloc[1:].rename_axis(None).to_parquet(tmp_path / "b.parquet")
    assert tables.read(tmp_path / "b.parquet").frame.index.tolist() == [0]


def test_parquet_refusals(file, tmp_path):
    pytest.importorskip("pyarrow")
    assert "cannot be read as Parquet" in refused(tables.read, file("a.parquet", b"PAR1 no"))
    assert "no such file" in refused(tables.read, tmp_path / "no.parquet")
    mixed = tables.read(file("a.jsonl", '{"id": 5}\n{"id": "6"}\n'))
    assert "does not fit into Parquet" in refused(tables.write, mixed, mixed.frame, tmp_path / "o.parquet")
    assert not (tmp_path / "o.parquet").exists()


def test_headerless_table_as_parquet_has_numbers_for_names(file, tmp_path):
    pytest.importorskip("pyarrow")
    table = tables.read(file("a.txt", f"{A}\n"))
    tables.write(table, table.frame, tmp_path / "o.parquet")
    assert tables.read(tmp_path / "o.parquet").frame.columns.tolist() == ["1"]


def test_spreadsheets_run_nothing(tmp_path: Path) -> None:
    """On request no text begins as a formula does; IDs, numbers and everything else stay as they are."""
    frame = pd.DataFrame(
        {"id": ["-5", "12345"], "text": ["=HYPERLINK(1)", "@all"], "n": [-1, 2], "mixed": ["+1", None]}, index=[7, 7]
    )
    before = frame.copy(deep=True)
    safe = tables.spreadsheet_safe(frame, "id")
    assert safe["text"].tolist() == ["'=HYPERLINK(1)", "'@all"]
    assert safe["mixed"].iloc[0] == "'+1"
    assert safe["mixed"].isna().tolist() == [False, True]
    pd.testing.assert_frame_equal(safe[["id", "n"]], before[["id", "n"]])
    pd.testing.assert_frame_equal(frame, before)
