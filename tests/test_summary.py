"""Every row is counted exactly once, whatever file the frame went through, and no word is guessed or lost."""

import io
import re

import numpy as np
import pandas as pd
import pytest

from xcompliance_pd.errors import InputError
from xcompliance_pd.lifecycle import run_id
from xcompliance_pd.protocol import ACTIONS, REASONS, JobType
from xcompliance_pd.summary import STATUSES, checked_span, columns, plain, runs, sentence, summary

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


# --------------------------------------------------------------------------- runs and the sentence

SANDBOX = "sandbox-tweets-20261120-0123abcd"
USERS = "users-20261025-89abcdef"


def named(frame, *names):
    return frame.assign(compliance_run=names)


@pytest.mark.parametrize("type", list(JobType))
@pytest.mark.parametrize("invented", [False, True])
def test_runs_reads_what_the_engine_names(type, invented):
    """A run's name, made by the engine, gives back its type, day and whether it was a sandbox's."""
    name = run_id(type, "20261123", "0123abcd", invented)
    table = runs(pd.DataFrame({"compliance_run": [name, name, None, "", "unnamed"]}))
    assert table.index.tolist() == [name]
    assert table.loc[name].tolist() == [type, pd.Timestamp("2026-11-23", tz="UTC"), invented, 2]


def test_runs_of_a_cell_that_names_several_and_of_none():
    """Every name in a cell is found, a day that does not exist is no day, and no run is no row."""
    table = runs(pd.DataFrame({"compliance_run": [f"{SANDBOX}, {USERS}", USERS, "tweets-20269999-0123abcd"]}))
    assert table["rows"].to_dict() == {SANDBOX: 1, USERS: 2, "tweets-20269999-0123abcd": 1}
    assert table["sandbox"].tolist() == [True, False, False]
    assert table["day"].isna().tolist() == [False, False, True]
    assert runs(pd.DataFrame({"compliance_run": [None, np.nan]})).empty


def test_sentence_says_day_type_counts_and_denominator():
    """Each number stands beside its word and its share of all rows, reasons in X's words, the most frequent first."""
    assert sentence(checked(*MIXED)) == (
        "On 23 November 2026 (UTC) we checked the post IDs in 7 of 8 rows against X's batch compliance endpoint (job "
        "type tweets): 6 (75.0 %) required action (delete 4, zap 1, no action named 1), by reason suspended 2 "
        "(25.0 %), none given 2 (25.0 %), deleted 1 (12.5 %), aliens 1 (12.5 %); 1 (12.5 %) was compliant; 1 (12.5 %) "
        "stayed unchecked, for want of an ID or of proof (errors: internal_error 1). Rows are counted, not distinct "
        "IDs; shares are of all rows."
    )


def test_sentence_counts_every_row_once_at_random():
    """Whatever the rows, the numbers in the sentence are those of the summary, and the reasons add up."""
    rng = np.random.default_rng(11)
    for size in (1, 7, 300):
        rows = zip(
            rng.choice(STATUSES, size),
            rng.choice([None, "delete", "zap"], size),
            rng.choice([None, "deleted", "aliens", "aliens" * 20, "aliens" * 30], size),
            strict=True,
        )
        frame = checked(*rows)
        told = sentence(frame)
        counts = frame["compliance_status"].value_counts()
        words = {"compliant": "w(?:as|ere) compliant", "unchecked": "stayed unchecked", "invalid": "held something"}
        for status, word in words.items():
            found = re.findall(rf"([\d,]+) \([^)]*\) {word}", told)
            assert found == [str(counts[status])] or (not found and counts[status] == 0), (status, told)
        reasons = re.search(r"by reason ([^;]*);", told)
        listed = sum(map(int, re.findall(r" (\d+) \([^)]* %\)", reasons[1]))) if reasons else 0
        assert listed == counts["action_required"] or "No row got a verdict" in told


@pytest.mark.parametrize("read", [{}, {"dtype": str}, {"dtype": str, "keep_default_na": False}])
def test_sentence_of_a_reloaded_file_is_the_same(read):
    """The columns alone are enough, also as text."""
    frame = checked(*MIXED)
    assert sentence(pd.read_csv(io.StringIO(frame.to_csv(index=False)), **read)) == sentence(frame)


def test_sentence_names_the_range_types_and_number_of_runs():
    """Days become a range; a row without time lends its run's first day; types and runs are told."""
    frame = named(checked(("compliant", None, None), ("compliant", None, None)), USERS, "tweets-20261123-0123abcd")
    frame.loc[0, "compliance_checked_at"] = pd.NaT
    told = sentence(frame)
    assert told.startswith("Between 25 October 2026 and 23 November 2026 (UTC) we checked the post and user IDs in 2 ")
    assert "(job types tweets and users, 2 runs)" in told
    assert "0 (0.0 %) required action; 2 (100.0 %) were compliant; 0 could not be checked." in told


def test_sentence_shouts_about_a_sandbox():
    """Invented verdicts are called so before anything else, and never said to be X's; a mixture says so too."""
    frame = checked(("compliant", None, None), ("action_required", "delete", "deleted"))
    told = sentence(named(frame, SANDBOX, SANDBOX))
    assert told.startswith("SANDBOX, NOT FOR PUBLICATION: these verdicts are invented")
    assert "against a local sandbox (" in told
    assert "endpoint" not in told
    mixed = sentence(named(frame, SANDBOX, USERS))
    assert mixed.startswith("SANDBOX, NOT FOR PUBLICATION: some of these verdicts are invented")
    assert "against X's batch compliance endpoint and a local sandbox (" in mixed


def test_sentence_claims_nothing_that_the_table_does_not_tell():
    """Without a run, nobody says that X answered; without a time, no day is named; without verdicts, no check."""
    frame = named(checked(("compliant", None, None), ("compliant", None, None)), None, None)
    frame["compliance_checked_at"] = pd.NaT
    told = sentence(frame)
    assert told.startswith("On an unknown day we checked the IDs in 2 rows against a service that is not named (job")
    assert "X's" not in told
    assert "1 of the verdicts name no run" in sentence(named(frame, USERS, None))
    assert sentence(checked()) == "The table has no rows, so nothing was checked."
    assert sentence(checked(("unchecked", None, None), ("invalid", None, None))) == (
        "No row got a verdict, so nothing is known of the 2 rows: 1 (50.0 %) stayed unchecked, for want of an ID or "
        "of proof; 1 (50.0 %) held something that is no ID."
    )


def test_sentence_shows_foreign_words_fit_for_a_page():
    """A reason with line breaks and escapes is shown as plain text, and a share is never rounded to nothing."""
    frame = checked(("action_required", "delete", "a\n\x1b[31mb"), *[("compliant", None, None)] * 2500)
    told = sentence(frame)
    assert "by reason a  [31mb 1 (<0.1 %); 2,500 (>99.9 %) were compliant" in told
    assert told.isprintable()
