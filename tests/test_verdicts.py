"""The join: which row gets which verdict."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
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


def definition(values: list[object], parts: Sequence[Covered]) -> pd.DataFrame:
    """The join, one row and one batch after the other."""
    asked = {int(str(value)) for value in values if value not in (None, "x")}
    own = [part.findings[np.isin(part.findings["id"], [*asked.intersection(part.ids.tolist())])] for part in parts]
    record = results.decisive(results.concat(own)).set_index("id")
    never = {"action": None, "reason": None, "created_at": pd.NaT, "redacted_at": pd.NaT}
    rows = []
    for value in values:
        row = {"status": "unchecked", **never, "checked_at": pd.NaT, "run": None}
        rows.append(row)
        if value is None or value == "x":
            row["status"] = "unchecked" if value is None else "invalid"
            continue
        number = int(str(value))
        part = next((part for part in parts if number in part.ids.tolist()), None)
        if part is None or (number not in record.index and not part.proved):
            continue
        row.update(status="compliant", checked_at=part.checked_at, run=part.run)
        if number in record.index:
            found = record.loc[number]
            judged = found["error"] is None or not pd.isna(found["action"]) or not pd.isna(found["reason"])
            row.update({name: found[name] for name in never}, status="action_required" if judged else "unchecked")
            if not judged:
                row["reason"] = found["error"]
    table = pd.DataFrame(rows, columns=list(verdicts.VERDICT_COLUMNS), dtype=object)
    known = record["reason"].cat.categories.tolist()
    judged = results.judged(record)
    kinds = {
        "status": verdicts.STATUSES,
        "action": record["action"].cat.categories,
        "reason": [*known, *sorted(set(record.loc[~judged, "error"]) - set(known))],
        "run": list(dict.fromkeys(part.run for part in parts)),
    }
    for name in verdicts.VERDICT_COLUMNS:
        if name in kinds:
            table[name] = pd.Categorical(table[name], categories=pd.Index(kinds[name], dtype=object))
        else:
            table[name] = pd.to_datetime(table[name], utc=True).astype("datetime64[us, UTC]")
    return table


WORDS = st.sampled_from(
    [
        '"action":"delete","reason":"deleted","created_at":"2020-05-26T17:02:47.000Z"',
        '"action":"delete","reason":"suspended","redacted_at":"2021-05-26T17:02:47.000Z"',
        '"action":"scrub_geo","reason":"scrub_geo"',
        '"action":"fold","reason":"spindled"',
        '"reason":"aged"',
        '"error":"invalid_id"',
        '"error":"deleted"',
        '"error":"a new one","created_at":"2020-05-26T17:02:47.000Z"',
    ]
)
NUMBERS = st.one_of(st.integers(1, 30), st.integers(2**63 - 30, 2**63 - 1))
FOUND = st.lists(st.tuples(NUMBERS, WORDS), max_size=20)
BATCH = st.tuples(st.sets(NUMBERS, max_size=20), FOUND, st.booleans(), st.sampled_from("rq"))


@settings(deadline=None)  # the definition is slow
@given(st.lists(st.one_of(st.none(), NUMBERS.map(str), st.just("x")), max_size=40), st.lists(BATCH, max_size=4))
def test_several_batches_are_the_definition(
    rows: list[object], batches: list[tuple[set[int], list[tuple[int, str]], bool, str]]
) -> None:
    """Values, dtypes and categories are the definition's: rows in any order and repeated, batches in any order, records
    repeated, foreign, for another batch's ID, with unknown words or only an error.
    """
    parts, before = [], set[int]()
    for sent, found, proved, run in batches:
        lines = [f'{{"id":"{number}",{words}}}' for number, words in found]
        parts.append(covered(sorted(sent - before), *lines, proved=proved, run=run))
        before |= sent
    pd.testing.assert_frame_equal(table(rows, *parts), definition(rows, parts))


GONE = '{"id":"20","action":"delete","reason":"deleted"}'


@pytest.mark.parametrize("common", [[20], [20, 22, 23]])
def test_of_batches_with_a_common_id_one_that_lists_it_speaks_else_one_that_proved_its_absence(
    common: list[int],
) -> None:
    """Whatever the order of batches, a finding is never hidden by another batch, nor a proof by a missing one."""
    lists = covered([1, *common], GONE, run="lists")
    silent = covered([*common, 30], run="silent")
    unproved = covered([2, *common], proved=False, run="unproved")
    for parts in itertools.permutations([lists, silent, unproved]):
        checked = table(["20", "1", "2", "30"], *parts)
        assert checked["status"].tolist() == ["action_required", "compliant", "unchecked", "compliant"]
        assert checked["reason"].tolist()[:1] == ["deleted"]
        assert checked["run"].astype(object).fillna("").tolist() == ["lists", "lists", "", "silent"]
    for parts in itertools.permutations([silent, unproved]):
        assert table(["20", "2"], *parts)["status"].tolist() == ["compliant", "unchecked"]


@pytest.mark.parametrize("multipliers", [None, (0,), (0, 0), (1 << 63,)])
def test_places_do_not_depend_on_the_hash(multipliers: tuple[int, ...] | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each number is found where it stands, and no other, even if all keys share one slot, in every table."""
    if multipliers is not None:
        monkeypatch.setattr(verdicts, "_MULTIPLIERS", tuple(map(np.uint64, multipliers)))
    random = np.random.default_rng(1)
    for size in (0, 1, 127, 128, 3 * ids.BLOCK + 1):
        keys = random.permutation(2 * np.arange(size) + (1 << 60))
        asked = random.integers((1 << 60) - 3, (1 << 60) + 2 * size + 3, 2 * ids.BLOCK + 7)
        places = verdicts.Places(keys).find(asked)
        stands = dict(zip(keys.tolist(), range(size), strict=True))
        assert places.tolist() == [stands.get(number, -1) for number in asked.tolist()]


def test_within_finds_what_two_ascending_lists_share(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever their lengths and the stretches they are searched in, the places are those of the common numbers."""
    rng = np.random.default_rng(0)
    for stretch in (1, 3, 4096):
        monkeypatch.setattr(verdicts, "STRETCH", stretch)
        for _ in range(300):
            ours, theirs = (np.unique(rng.integers(0, 60, rng.integers(0, 40))) for _ in range(2))
            assert ours[verdicts.within(ours, theirs)].tolist() == sorted({*ours.tolist()} & {*theirs.tolist()})
