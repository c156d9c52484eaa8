"""Result files: everything is read, kept or counted."""

from __future__ import annotations

import json

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xcompliance_pd.results import LINE_MAX, concat, decisive, read


def one(line: str) -> pd.Series:
    results = read([line.encode() + b"\n"])
    assert results.bad_count == 0, results.bad
    return results.findings.iloc[0]


def test_both_time_formats() -> None:
    """Posts carry milliseconds and Z, users +00:00; both become the same UTC datetimes."""
    post = one('{"id":"20","action":"delete","created_at":"2019-08-10T12:22:39.022Z","reason":"suspended"}')
    user = one('{"id":"20","created_at":"2019-03-02T03:37:59+00:00","redacted_at":"2021-06-15T07:32:10+00:00"}')
    assert post["created_at"] == pd.Timestamp("2019-08-10 12:22:39.022", tz="UTC")
    assert pd.isna(post["redacted_at"])
    assert user["redacted_at"] == pd.Timestamp("2021-06-15 07:32:10", tz="UTC")


def test_blank_lines_and_no_final_newline() -> None:
    """X sends a blank line after the second record; it is nothing, and the last line needs no newline."""
    results = read([b'{"id":"1"}\n{"id":"2"}\n\n{"id":"3"}'])
    assert results.findings["id"].tolist() == [1, 2, 3]
    assert (results.lines, results.bad_count) == (3, 0)


@pytest.mark.parametrize("data", [b"", b"\n", b"\n\r\n  \n"])
def test_an_empty_result_has_columns(data: bytes) -> None:
    """A file without records gives an empty table with all columns."""
    findings = read([data]).findings
    assert len(findings) == 0
    assert list(findings) == ["id", "action", "reason", "created_at", "redacted_at", "error", "extra"]


def test_unknown_words_keys_and_times_are_kept() -> None:
    """Nothing unknown is dropped or guessed."""
    row = one('{"id":"5","action":"fold","reason":"spindled","created_at":"soon","mutilate":[1],"redacted_at":null}')
    assert (row["action"], row["reason"]) == ("fold", "spindled")
    assert json.loads(row["extra"]) == {"created_at": "soon", "mutilate": [1]}
    assert pd.isna(row["created_at"])


def test_deleted_at_is_another_name_for_redacted_at() -> None:
    """The September 2026 dialect writes deleted_at."""
    assert one('{"id":"5","deleted_at":"2026-09-15T07:32:10+00:00"}')["redacted_at"].year == 2026


def test_error_records_keep_their_word() -> None:
    """A record that only says that X could not judge the ID is a record."""
    assert one('{"id":"5","error":"invalid_id"}')["error"] == "invalid_id"


@pytest.mark.parametrize(
    "line",
    [
        b'{"id":"1","act',
        b"not json",
        b'"text"',
        b"[1]",
        b"null",
        b"<?xml version='1.0'?><Error><Code>NoSuchKey</Code></Error>",
        b'{"action":"delete"}',
        b'{"id":null}',
        b'{"id":1.5}',
        b'{"id":1e3}',
        b'{"id":true}',
        b'{"id":"012"}',
        b'{"id":" 12"}',
        b'{"id":"9223372036854775808"}',
        '{"id":"\u0661\u0662"}'.encode(),
        b'{"id":"1","id":"2"}',
        b'{"id":"1","action":3}',
        b'{"id":"1","x":NaN}',
        b'{"id":"1","x":"\xff"}',
        b'{"id":"1","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"id":' + b"9" * 5000 + b"}",
        b'{"id":"1","x":"' + b"a" * LINE_MAX + b'"}',
    ],
)
def test_bad_lines_are_counted_and_their_neighbours_kept(line: bytes) -> None:
    """A line that cannot be trusted is counted with its number; the lines around it are still read."""
    results = read([b'{"id":"7"}\n' + line + b'\n{"id":"8"}\n'])
    assert results.findings["id"].tolist() == [7, 8]
    assert results.bad_count == 1
    assert results.bad[0][0] == 2


def test_number_ids_are_exact() -> None:
    """An ID written as a JSON integer is taken digit by digit."""
    assert one('{"id":1212092628029698049}')["id"] == 1212092628029698049


def test_unicode_line_separators_do_not_split() -> None:
    """U+2028 and U+0085 inside a value are no line ends."""
    assert json.loads(one('{"id":"1","x":"a\u2028b\u0085c"}')["extra"])["x"] == "a\u2028b\u0085c"


def test_lone_surrogates_are_replaced() -> None:
    """A lone surrogate, which no column or file takes, does not crash the cell."""
    assert one('{"id":"1","reason":"\\ud800"}')["reason"] == "?"


@settings(deadline=None)
@given(
    st.lists(
        st.sampled_from(['{"id":"1"}', '{"id":"22","reason":"deleted"}', "", "  ", "{", '{"id":"3"}']), max_size=8
    ),
    st.integers(1, 7),
)
def test_block_edges_do_not_matter(lines: list[str], step: int) -> None:
    """A file cut into blocks anywhere reads the same."""
    data = "\n".join(lines).encode()
    whole, parts = read([data]), read([data[i : i + step] for i in range(0, len(data), step)])
    pd.testing.assert_frame_equal(whole.findings, parts.findings)
    assert (whole.lines, whole.bad) == (parts.lines, parts.bad)


def test_a_long_line_is_linear() -> None:
    """Eight MiB without a newline, in small blocks, are read in one pass and kept short."""
    results = read([b"x" * 4096] * 2048)
    assert results.bad == ((1, f"longer than {LINE_MAX} bytes"),)


def test_severity_order() -> None:
    """Of several events for one ID the most severe speaks; geo scrubbing never counts as a deletion."""
    lines = [
        '{"id":"1","action":"rehydrate","reason":"tweet_edited"}',
        '{"id":"1","action":"delete","reason":"geo_scrubbed"}',
        '{"id":"1","action":"delete","reason":"suspended"}',
        '{"id":"2","action":"fold"}',
        '{"id":"2","action":"scrub_geo","reason":"geo_scrubbed"}',
        '{"id":"3","error":"invalid_id"}',
        '{"id":"3","action":"fold"}',
        '{"id":"4","action":"delete","reason":"deleted"}',
        '{"id":"4","action":"delete","reason":"suspended","redacted_at":"2020-01-01T00:00:00+00:00"}',
    ]
    best = decisive(read(["\n".join(lines).encode()]).findings).set_index("id")
    assert best.loc[1, "reason"] == "suspended"
    assert best.loc[2, "action"] == "scrub_geo"
    assert best.loc[3, "action"] == "fold"
    assert best.loc[4, "reason"] == "suspended"


def test_concat_keeps_categories() -> None:
    """Tables with different unknown words stack into one category column."""
    tables = [read([f'{{"id":"{n}","reason":"{word}"}}'.encode()]).findings for n, word in ((1, "zzz"), (2, "aaa"))]
    merged = concat(tables)
    assert merged["reason"].tolist() == ["zzz", "aaa"]
    assert merged["reason"].dtype == "category"
