"""What changed between two checks: every pair of verdicts has one name, and what is not known is never a return."""

from __future__ import annotations

import itertools
from typing import Any

import pandas as pd
import pytest
from chart_support import RUN, axes, check_layout, close, legend, names, png, reloaded, texts, title, visible, widths
from chart_support import untouched_globals as untouched_globals

import xcompliance_pd as xc
from xcompliance_pd import charts
from xcompliance_pd.differences import CHANGES
from xcompliance_pd.errors import InputError
from xcompliance_pd.protocol import REASONS

FIRST = 1212092628029698048
BEFORE, AFTER = "2026-11-16T20:15:00Z", "2026-11-23T20:15:00Z"
STATES: dict[str, tuple[Any, Any, Any]] = {
    "compliant": ("compliant", None, None),
    "deleted": ("action_required", "delete", "deleted"),
    "suspended": ("action_required", "delete", "suspended"),
    "geo": ("action_required", "delete", "scrub_geo"),
    "edited": ("action_required", "rehydrate", "tweet_edited"),
    "odd": ("action_required", "hide", "aliens"),
    "unchecked": ("unchecked", None, None),
    "error": ("unchecked", None, "internal_error"),
    "invalid": ("invalid", None, None),
}
GONE, OPEN = {"deleted", "suspended"}, {"unchecked", "error", "invalid"}


def checked(states: dict[int, str], time: str, run: str = RUN) -> pd.DataFrame:
    """Return a checked frame: the number of an ID, and how it stands."""
    table = pd.DataFrame([STATES[state] for state in states.values()], columns=["status", "action", "reason"])
    table = table.add_prefix("compliance_").assign(compliance_checked_at=time, compliance_run=run)
    table.insert(0, "id", [str(FIRST + number) for number in states])
    return table


def changes(before: dict[int, str], after: dict[int, str]) -> dict[int, str]:
    table = xc.diff(checked(before, BEFORE), checked(after, AFTER), "id")
    return {int(word) - FIRST: str(change) for word, change in zip(table["id"], table["change"], strict=True)}


def expected(before: str, after: str) -> str | None:
    """Say in another way than the code what a pair is called."""
    if before in OPEN or after in OPEN:
        if before in OPEN and after in OPEN:
            return None
        return "now checked" if before in OPEN else "newly unchecked"
    if before == after:
        return None
    if (before in GONE) != (after in GONE):
        return "newly gone" if after in GONE else "back again"
    if "compliant" in (before, after):
        return "newly listed" if before == "compliant" else "no longer listed"
    return "reason changed"


def test_every_pair_of_verdicts_has_one_name() -> None:
    """All 81 pairs at once: those without a name are not in the table, and each name occurs."""
    pairs = dict(enumerate(itertools.product(STATES, STATES)))
    found = changes({n: pair[0] for n, pair in pairs.items()}, {n: pair[1] for n, pair in pairs.items()})
    wanted = {n: name for n, pair in pairs.items() if (name := expected(*pair))}
    assert found == wanted
    assert set(found.values()) == set(CHANGES[:7])


def test_ids_of_one_frame_only() -> None:
    """They are new, or no longer there, however they stand."""
    assert changes({1: "compliant", 2: "deleted", 3: "unchecked"}, {3: "unchecked", 4: "geo", 5: "invalid"}) == {
        4: "new",
        5: "new",
        1: "no longer in the dataset",
        2: "no longer in the dataset",
    }


@pytest.mark.parametrize("state", sorted(OPEN))
def test_what_is_not_known_is_no_return(state: str) -> None:
    """A post that was gone and of which nothing is known now is not back; and the other way round it is not gone."""
    assert changes({1: "deleted", 2: state}, {1: state, 2: "deleted"}) == {1: "newly unchecked", 2: "now checked"}


def test_both_sides_are_shown() -> None:
    """One row tells status, action, reason and time before and after, and which change it is, in a fixed order."""
    table = xc.diff(
        checked({1: "geo", 2: "compliant", 3: "compliant"}, BEFORE),
        checked({3: "compliant", 2: "deleted", 1: "compliant"}, AFTER),
        "id",
    )
    assert table["id"].tolist() == [str(FIRST + 2), str(FIRST + 1)]
    assert table["change"].cat.categories.tolist() == list(CHANGES)
    assert table.iloc[0, 2:].astype(object).where(table.iloc[0, 2:].notna(), None).to_dict() == {
        "status_before": "compliant",
        "status_after": "action_required",
        "action_before": None,
        "action_after": "delete",
        "reason_before": None,
        "reason_after": "deleted",
        "checked_at_before": pd.Timestamp(BEFORE),
        "checked_at_after": pd.Timestamp(AFTER),
    }


def test_order_duplicates_and_a_file_in_between_change_nothing() -> None:
    """Rows in another order, IDs that occur often or as numbers, rows without an ID, frames saved as CSV: the same."""
    states = {n: list(STATES)[n % 9] for n in range(40)}
    before, after = checked(states, BEFORE), checked({n: states[(n * 7) % 40] for n in states}, AFTER)
    plain = xc.diff(before, after, "id")
    nobody = checked({99: "invalid", 98: "unchecked"}, AFTER).assign(id=["x", None])
    often = pd.concat([after, nobody, after.head(11)]).sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(xc.diff(before, often, "id"), plain)
    again = xc.diff(reloaded(before), reloaded(often), "id")
    assert again.astype(str).equals(plain.astype(str))
    numbers = before.assign(id=before["id"].astype("int64"))
    pd.testing.assert_frame_equal(after.compliance.diff("id", numbers), plain)
    renamed = [frame.rename(columns=lambda name: name.replace("compliance_", "u_")) for frame in (before, after)]
    pd.testing.assert_frame_equal(xc.diff(*renamed, "id", prefix="u_"), plain)


def test_of_equal_verdicts_the_latest_time_stands() -> None:
    """An ID that stands twice with one verdict, once checked later, was checked then; the order of rows is the same."""
    for times in ([BEFORE, AFTER], [AFTER, BEFORE]):
        before = checked({1: "deleted"}, BEFORE)
        after = pd.concat([checked({1: "compliant"}, time) for time in times])
        assert xc.diff(before, after, "id")["checked_at_after"].tolist() == [pd.Timestamp(AFTER)]


def test_verdicts_that_contradict_each_other_are_refused() -> None:
    """Rows of one ID that stand otherwise: nobody can say what it was."""
    twice = pd.concat([checked({1: "deleted"}, BEFORE), checked({1: "compliant"}, BEFORE)])
    with pytest.raises(InputError, match=f"ID {FIRST + 1} have different verdicts in the frame before"):
        xc.diff(twice, checked({1: "deleted"}, AFTER), "id")


def test_the_later_frame_first_is_refused() -> None:
    """The wrong way round all that is gone would be back."""
    with pytest.raises(InputError, match="Give the earlier one first"):
        xc.diff(checked({1: "deleted"}, AFTER), checked({1: "compliant"}, BEFORE), "id")


@pytest.mark.parametrize("column", ["ID", None, ["id"]])
def test_a_column_that_is_not_there(column: Any) -> None:
    """It is told which frame lacks it."""
    with pytest.raises(InputError, match="The frame before has no column"):
        xc.diff(checked({1: "deleted"}, BEFORE), checked({1: "deleted"}, AFTER), column)


def test_frames_without_rows() -> None:
    """Nothing before, or nothing at all."""
    nothing = checked({}, BEFORE)
    assert len(xc.diff(nothing, nothing, "id")) == 0
    assert xc.diff(nothing, checked({1: "unchecked"}, AFTER), "id")["change"].tolist() == ["new"]


# --------------------------------------------------------------------------- the chart


def test_one_bar_for_each_change_divided_by_reason() -> None:
    """Bars stand in the order of the table with their numbers; parts are reasons in the fixed colours and hatches."""
    before = {1: "compliant", 2: "compliant", 3: "deleted", 4: "deleted", 5: "compliant", 6: "compliant"}
    after = {1: "suspended", 2: "deleted", 3: "compliant", 4: "compliant", 5: "unchecked", 6: "compliant"}
    ax = charts.diff(checked(before, BEFORE), checked(after, AFTER), "id", axes())
    assert title(ax) == "What changed since the check before"
    assert names(ax) == ["newly gone", "back again", "newly unchecked"]
    assert legend(ax) == ["deleted", "suspended", "compliant"]
    assert widths(ax) == [1, 2, 0, 1, 0, 0, 0, 0, 1]
    assert texts(ax) == [
        "2",
        "2",
        "1",
        "after: checked 2026-11-23 UTC; 1 without a verdict",
        "before: checked 2026-11-16 UTC",
        "n = 6 IDs, 5 of them changed",
    ]
    assert [bar.get_hatch() for bar in ax.patches[::3]] == [charts.REASON_STYLES[w][1] for w in legend(ax)[:2]] + [""]


def test_the_chart_counts_what_the_table_counts() -> None:
    """For all pairs of verdicts the bars are as long as there are rows of their kind."""
    pairs = dict(enumerate(itertools.product(STATES, STATES)))
    before = checked({n: pair[0] for n, pair in pairs.items()}, BEFORE)
    after = checked({n + 3: pair[1] for n, pair in pairs.items()}, AFTER, run=f"sandbox-{RUN}")
    table = xc.diff(before, after, "id")["change"].value_counts(sort=False)
    ax = charts.diff(before, after, "id", axes())
    assert texts(ax)[: (table > 0).sum()] == [str(count) for count in table if count]
    assert sum(widths(ax)) == table.sum()
    assert charts.SANDBOX in texts(ax)


def test_nothing_changed() -> None:
    """An empty chart says so."""
    ax = charts.diff(checked({1: "deleted"}, BEFORE), checked({1: "deleted"}, AFTER), "id", axes())
    assert texts(ax)[0] == "nothing changed"
    assert png(ax)


def test_texts_lie_inside_the_figure_and_apart() -> None:
    """With long unknown reasons and every change at once."""
    pairs = dict(enumerate(itertools.product(STATES, STATES)))
    before = checked({n: pair[0] for n, pair in pairs.items()}, BEFORE)
    after = checked({n + 3: pair[1] for n, pair in pairs.items()}, AFTER)
    after["compliance_reason"] = after["compliance_reason"].replace("aliens", "a reason with a long name $\\frac{$")
    ax = after.compliance.plot.diff("id", before)
    try:
        ax.figure.canvas.draw()
        check_layout(ax.figure, visible(ax))
    finally:
        close(ax)


def test_many_reasons_are_summed_up() -> None:
    """A service that invents reasons leaves a legend that can be read."""
    count = 30
    before = checked(dict.fromkeys(range(count), "compliant"), BEFORE)
    after = checked(dict.fromkeys(range(count), "deleted"), AFTER)
    after["compliance_reason"] = [*REASONS, *(f"r{n}" for n in range(count - len(REASONS)))]
    ax = charts.diff(before, after, "id", axes())
    assert len(legend(ax)) == 8
    assert sum(widths(ax)) == count
