"""The join: which row gets which verdict."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from xcompliance_pd import ids, results, verdicts
from xcompliance_pd.verdicts import Covered

AT = datetime(2026, 1, 2, tzinfo=UTC)


def table(values: list[object], *parts: Covered) -> pd.DataFrame:
    return verdicts.join(ids.parse(pd.Series(values, dtype=object), "id"), parts)


def covered(sent: list[int], *lines: str, proved: bool = True, run: str = "r") -> Covered:
    return Covered(
        np.array(sorted(sent), dtype=np.int64), results.read(["\n".join(lines).encode()]).findings, proved, AT, run
    )


def test_every_kind_of_row() -> None:
    """Listed, absent, missing, damaged and not sent rows get their five different answers."""
    checked = table(
        ["20", "21", None, "2e1", "99"], covered([20, 21], '{"id":"21","action":"delete","reason":"protected"}')
    )
    assert checked["status"].tolist() == ["compliant", "action_required", "unchecked", "invalid", "unchecked"]
    assert checked["reason"].tolist()[1] == "protected"
    assert checked["checked_at"].notna().tolist() == [True, True, False, False, False]
    assert checked["run"].tolist()[:2] == ["r", "r"]


def test_unproved_absence_is_unchecked() -> None:
    """Without proof what is listed counts, what is not listed stays unchecked, and no time or run is claimed for it."""
    checked = table(["20", "21"], covered([20, 21], '{"id":"21","action":"delete"}', proved=False))
    assert checked["status"].tolist() == ["unchecked", "action_required"]
    assert checked["checked_at"].notna().tolist() == [False, True]


def test_a_foreign_record_touches_no_row() -> None:
    """A record for an ID that was in another batch, or in none, decides nothing."""
    checked = table(["20", "21"], covered([20], '{"id":"21","action":"delete"}'), covered([21]))
    assert checked["status"].tolist() == ["compliant", "compliant"]


def test_duplicates_and_order() -> None:
    """Rows with the same ID get the same verdict, in the order of the rows."""
    checked = table(["21", "20", "21"], covered([20, 21], '{"id":"21","action":"delete"}'))
    assert checked["status"].tolist() == ["action_required", "compliant", "action_required"]


def test_unknown_words_are_shown() -> None:
    """Unknown actions and reasons need action and become categories after the known ones."""
    checked = table(["20"], covered([20], '{"id":"20","action":"fold","reason":"spindled"}'))
    assert checked["status"].tolist() == ["action_required"]
    assert checked["action"].cat.categories[-1] == "fold"
    assert checked["reason"].tolist() == ["spindled"]


def test_an_error_record_is_no_verdict() -> None:
    """An ID that X could not judge is neither compliant nor listed; X's word is shown."""
    checked = table(["20"], covered([20], '{"id":"20","error":"invalid_id"}'))
    assert checked["status"].tolist() == ["unchecked"]
    assert checked["reason"].tolist() == ["invalid_id"]


def test_nothing_covered() -> None:
    """Without any batch nothing is compliant, and all columns are there with their dtypes."""
    checked = table(["20", None])
    assert checked["status"].tolist() == ["unchecked", "unchecked"]
    assert list(checked) == list(verdicts.VERDICT_COLUMNS)
    assert all(str(checked[name].dtype).endswith("UTC]") for name in ("created_at", "redacted_at", "checked_at"))


ROWS = st.lists(st.one_of(st.none(), st.integers(1, 60).map(str), st.just("x")), max_size=40)
SENT = st.sets(st.integers(1, 60), max_size=40)


@given(ROWS, SENT, SENT, st.booleans())
def test_the_join_is_the_definition(rows: list[object], sent: set[int], listed: set[int], proved: bool) -> None:
    """For any rows, sent IDs and findings the verdicts are those of the safety property, written out plainly."""
    lines = [f'{{"id":"{n}","action":"delete","reason":"deleted"}}' for n in sorted(listed)]
    checked = table(rows, covered(sorted(sent), *lines, proved=proved))

    def verdict(value: object) -> str:
        if value is None:
            return "unchecked"
        if value == "x":
            return "invalid"
        number = int(str(value))
        if number not in sent:
            return "unchecked"
        if number in listed:
            return "action_required"
        return "compliant" if proved else "unchecked"

    assert checked["status"].tolist() == [verdict(value) for value in rows]
