"""Every row is counted exactly once, whatever file the frame went through, and no word is guessed or lost."""

import io

import numpy as np
import pandas as pd
import pytest

from xcompliance_pd.errors import InputError
from xcompliance_pd.protocol import ACTIONS, REASONS
from xcompliance_pd.summary import STATUSES, checked_span, columns, plain, summary

NAMES = ("status", "action", "reason", "created_at", "redacted_at", "checked_at", "run")


def checked(*rows, prefix="compliance_"):
    """A frame of (status, action, reason) rows as a join makes it."""
    status, action, reason = zip(*rows, strict=True) if rows else ((), (), ())
    n = len(rows)
    frame = pd.DataFrame(
        {
            "status": pd.Categorical(status, categories=STATUSES),
            "action": pd.Categorical(action, categories=[*ACTIONS, *sorted({*action} - {*ACTIONS, None})]),
            "reason": pd.Categorical(reason, categories=[*REASONS, *sorted({*reason} - {*REASONS, None})]),
            "created_at": pd.Series(pd.NaT, index=range(n), dtype="datetime64[ns, UTC]"),
            "redacted_at": pd.Series(pd.NaT, index=range(n), dtype="datetime64[ns, UTC]"),
            "checked_at": pd.to_datetime(["2026-11-23T20:15:00.250Z"] * n, utc=True),
            "run": pd.Categorical(["tweets-20261123-0123abcd"] * n),
        }
    )
    return frame.add_prefix(prefix)


MIXED = (
    ("compliant", None, None),
    ("action_required", "delete", "suspended"),
    ("action_required", "delete", "deleted"),
    ("action_required", "delete", "suspended"),
    ("action_required", "zap", "aliens"),
    ("action_required", None, None),
    ("action_required", "delete", None),
    ("unchecked", None, "internal_error"),
)


def records(table):
    rows = table[["status", "action", "reason", "rows"]].astype(object)
    return [tuple(None if pd.isna(cell) else cell for cell in row) for row in rows.itertuples(index=False)]


def test_order_zero_rows_unknown_and_missing_words():
    assert records(summary(checked(*MIXED))) == [
        ("compliant", None, None, 1),
        ("action_required", "delete", "deleted", 1),
        ("action_required", "delete", "suspended", 2),
        ("action_required", "delete", None, 1),
        ("action_required", "zap", "aliens", 1),
        ("action_required", None, None, 1),
        ("unchecked", None, "internal_error", 1),
        ("invalid", None, None, 0),
    ]


def test_columns_dtypes_and_shares():
    table = summary(checked(*MIXED))
    assert list(table.columns) == ["status", "action", "reason", "rows", "share"]
    assert table["rows"].dtype == np.int64
    assert table["share"].tolist() == [n / 8 for n in table["rows"]]
    assert list(table.index) == list(range(len(table)))


def test_all_four_statuses_need_no_zero_row():
    table = summary(checked(*((status, None, None) for status in STATUSES)))
    assert table["status"].tolist() == list(STATUSES)
    assert table["rows"].tolist() == [1, 1, 1, 1]


def test_empty_frame_gives_zeros():
    table = summary(checked())
    assert table["status"].tolist() == list(STATUSES)
    assert table["rows"].tolist() == [0, 0, 0, 0]
    assert table["share"].tolist() == [0.0, 0.0, 0.0, 0.0]


def test_every_row_is_counted_once_at_random():
    rng = np.random.default_rng(7)
    rows = list(
        zip(
            rng.choice(STATUSES, 500),
            rng.choice([None, "delete", "zap", "rehydrate"], 500),
            rng.choice([None, "deleted", "aliens", "scrub_geo"], 500),
            strict=True,
        )
    )
    table = summary(checked(*rows))
    assert table["rows"].sum() == 500
    assert {row[:3]: row[3] for row in records(table) if row[3]} == {row: rows.count(row) for row in rows}


@pytest.mark.parametrize("read", [{}, {"dtype": str}, {"dtype": str, "keep_default_na": False}, {"dtype": "category"}])
def test_a_frame_reloaded_from_csv_says_the_same(read):
    frame = checked(*MIXED)
    again = pd.read_csv(io.StringIO(frame.to_csv(index=False)), **read)
    pd.testing.assert_frame_equal(summary(again), summary(frame))
    assert checked_span(again) == checked_span(frame)
    for name in NAMES[3:6]:
        assert isinstance(columns(again)[name].dtype, pd.DatetimeTZDtype)
        assert str(columns(again)[name].dt.tz) == "UTC"


def test_columns_keeps_index_and_the_callers_frame():
    frame = checked(*MIXED).set_axis([5, 5, 1, 2, 3, 4, 6, 7])
    before = frame.copy()
    table = columns(frame)
    assert list(table.columns) == list(NAMES)
    assert table.index.tolist() == [5, 5, 1, 2, 3, 4, 6, 7]
    assert table["reason"].cat.categories.tolist() == [*REASONS, "aliens", "internal_error"]
    pd.testing.assert_frame_equal(frame, before)


def test_prefix():
    assert summary(checked(*MIXED, prefix="u_"), prefix="u_")["rows"].sum() == len(MIXED)
    assert checked_span(checked(*MIXED, prefix=""), prefix="")[0].year == 2026


def test_missing_columns_are_named():
    frame = checked(*MIXED).drop(columns=["compliance_action", "compliance_reason"])
    with pytest.raises(InputError, match=r"'compliance_action', 'compliance_reason'.*check\(\) or join\(\).*prefix="):
        summary(frame)


def test_double_column_is_refused():
    frame = checked(*MIXED)
    with pytest.raises(InputError, match="more than one column 'compliance_status'"):
        summary(pd.concat([frame, frame[["compliance_status"]]], axis=1))


def test_a_status_that_is_none_is_named():
    frame = checked(*MIXED).astype({"compliance_status": object})
    frame.loc[0, "compliance_status"] = "Compliant"
    with pytest.raises(InputError, match="'Compliant', which is no status: those are compliant, action_required"):
        summary(frame)


def test_rows_without_status_are_never_guessed():
    frame = checked(*MIXED).reindex(range(10))
    with pytest.raises(InputError, match="no status in 2 rows"):
        summary(frame)
    name = "compliance_status"
    frame[name] = frame[name].fillna("unchecked")  # what the message says
    assert summary(frame)["rows"].sum() == 10


@pytest.mark.parametrize("values", [["yesterday", None], [1763928900000, 0], [1.5, None], [True, False]])
def test_a_time_that_cannot_be_read_is_refused(values):
    with pytest.raises(InputError, match="'compliance_checked_at' holds something that is no time"):
        checked_span(pd.DataFrame({"compliance_checked_at": values}))


def test_checked_span():
    times = ["2026-11-24T00:00:00Z", None, "2026-11-23 20:15:00.5+00:00"]
    first, last = checked_span(pd.DataFrame({"compliance_checked_at": times}))
    assert (first.isoformat(), last.isoformat()) == ("2026-11-23T20:15:00.500000+00:00", "2026-11-24T00:00:00+00:00")


@pytest.mark.parametrize("values", [[], [None, None], [np.nan, np.nan]])
def test_checked_span_of_nothing(values):
    assert all(moment is pd.NaT for moment in checked_span(pd.DataFrame({"compliance_checked_at": values})))


def test_plain_leaves_only_what_can_be_shown():
    assert plain("a\x00b\u202ec\ud800d") == "a b c d"
    assert plain("x" * 61) == "x" * 59 + "…"
    assert plain("x" * 60) == "x" * 60
