"""Group by group, the share of rows with a verdict that need action, with an honest interval; no group is lost."""

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from chart_support import RUN, axes, check_layout, close, frame, names, png, reloaded, texts, title, visible, widths
from chart_support import untouched_globals as untouched_globals
from hypothesis import example, given, settings
from hypothesis import strategies as st
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from xcompliance_pd import charts
from xcompliance_pd.charts.groups import GROUPS_MAX, MISSING, wilson
from xcompliance_pd.errors import InputError

LOST, KEPT, OPEN = "action_required", "compliant", "unchecked"


def grouped(*rows):
    """A frame of (group, rows that need action, compliant rows, unchecked rows)."""
    status = [
        word for _, *counts in rows for word, n in zip((LOST, KEPT, OPEN), counts, strict=False) for _ in range(n)
    ]
    group = [name for name, *counts in rows for _ in range(sum(counts))]
    return frame(status, x=pd.Series(group, dtype=object))


def bars(ax):
    return dict(zip(names(ax), widths(ax), strict=True))


def intervals(ax):
    """The ends of the error bars, from the top."""
    (lines,) = ax.collections
    return np.array([segment[:, 0] for segment in lines.get_segments()])


def test_shares_are_of_rows_with_a_verdict_and_sorted():
    ax = charts.by(grouped(("en", 1, 3), ("de", 2, 2, 40), ("pt", 9, 1)), "x", axes())
    assert bars(ax) == {"pt": 0.9, "de": 0.5, "en": 0.25}
    assert texts(ax)[:3] == ["90.0 % of 10", "50.0 % of 4", "25.0 % of 4"]
    assert {"40 of them without a verdict", charts.style.SHARE} < {*texts(ax)}
    assert title(ax) == "Share that needs action, by x"
    bottom, top = ax.get_ylim()
    assert bottom > top


def test_counts():
    ax = charts.by(grouped(("en", 1, 3), ("de", 2, 2, 40), ("pt", 9, 1)), "x", axes(), shares=False)
    assert bars(ax) == {"pt": 9, "de": 2, "en": 1}
    assert texts(ax)[:3] == ["9 of 10", "2 of 4", "1 of 4"]
    assert title(ax) == "Rows that need action, by x"
    assert not ax.collections


@given(st.integers(1, 10**7).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
@example((0, 1))
@example((1, 1))
def test_the_interval_is_wilsons(pair):
    """Its ends are the two shares p for which the observed one lies 1.96 standard errors off."""
    hits, total = pair
    low, high = wilson(hits, total)
    z = 1.959963984540054
    roots = np.roots([1 + z**2 / total, -2 * hits / total - z**2 / total, (hits / total) ** 2])
    assert [low, high] == pytest.approx(sorted(roots.real), abs=2e-7)
    assert 0 <= low <= hits / total <= high <= 1


def test_intervals_are_drawn():
    ax = charts.by(grouped(("en", 1, 9), ("de", 10, 0)), "x", axes())
    assert intervals(ax) == pytest.approx(np.array([wilson(10, 10), wilson(1, 10)]))
    assert ax.get_xlim()[1] > 1
    assert "lines: 95 % confidence intervals (Wilson)" in texts(ax)


def test_missing_and_empty_are_one_group_that_is_always_shown():
    many = [(f"g{n:02}", 1, 9) for n in range(GROUPS_MAX)]
    ax = charts.by(grouped(*many, (None, 1, 1), ("", 0, 2)), "x", axes())
    assert bars(ax)[MISSING] == 0.25
    assert len(bars(ax)) == GROUPS_MAX + 1


def test_the_largest_are_shown_and_the_others_summed_up():
    many = [(n, 1, n) for n in range(1, GROUPS_MAX + 4)]
    ax = charts.by(grouped(*many), "x", axes())
    assert sorted(map(int, names(ax)[:-1])) == list(range(4, GROUPS_MAX + 4))
    assert names(ax)[-1] == "(3 other groups)"
    assert texts(ax)[GROUPS_MAX] == "33.3 % of 9"
    assert names(charts.by(grouped(*many[2:]), "x", axes()))[-1] == "(1 other group)"


def test_a_group_without_any_verdict_is_told():
    ax = charts.by(grouped(("en", 0, 0, 5), ("de", 0, 1)), "x", axes())
    assert names(ax) == ["de", "en"]
    assert texts(ax)[1] == "no row with a verdict"
    assert png(ax)


TYPES = {
    "text": ["b", "a", "b", None],
    "category": pd.Categorical(["b", "a", "b", None], categories=["a", "unused", "b"]),
    "bool": [True, False, True, True],
    "object of bool": [True, False, True, None],
    "int": [3, 1, 3, 3],
    "float of whole numbers": [3.0, 1.0, 3.0, np.nan],
    "Int64": pd.array([3, 1, 3, None], dtype="Int64"),
    "boolean": pd.array([True, False, True, None], dtype="boolean"),
    "period": pd.PeriodIndex(["2020-01", "2020-02", "2020-01", None], freq="M"),
    "mixed": ["b", 1, "b", None],
}
EXPECTED = {
    "text": ["b", "a", MISSING],
    "category": ["b", "a", MISSING],
    "bool": ["True", "False"],
    "object of bool": ["True", "False", MISSING],
    "int": ["3", "1"],
    "float of whole numbers": ["3", "1", MISSING],
    "Int64": ["3", "1", MISSING],
    "boolean": ["True", "False", MISSING],
    "period": ["2020-01", "2020-02", MISSING],
    "mixed": ["b", "1", MISSING],
}


@pytest.mark.parametrize("kind", TYPES)
def test_groups_of_any_type(kind):
    data = frame([LOST, KEPT, LOST, KEPT]).assign(x=TYPES[kind])
    ax = charts.by(data, "x", axes())
    assert set(names(ax)) == set(EXPECTED[kind])
    assert png(charts.by(reloaded(data), "x", axes())) == png(ax) or kind in ("category", "text")
    assert bars(charts.by(reloaded(data), "x", axes())) == bars(ax)


def test_times_are_no_groups():
    """A datetime column is refused with what to do instead."""
    data = frame([LOST], when=pd.to_datetime(["2024-01-05"]))
    when = data["when"]
    kinds = (when, when.dt.tz_localize("UTC"), when.astype("category"), when.astype(object), when.dt.date)
    for column in kinds:
        with pytest.raises(InputError, match=r"plot.timeline\('when'\).*\.dt\.year"):
            charts.by(data.assign(when=column), "when", axes())


def test_what_cannot_be_grouped_is_refused():
    with pytest.raises(InputError, match=r"cannot be grouped.*explode"):
        charts.by(frame([LOST]).assign(x=[["a", "b"]]), "x", axes())
    with pytest.raises(InputError, match="no column 'y'"):
        charts.by(grouped(("a", 1)), "y", axes())


@given(st.lists(st.one_of(st.text(), st.integers(), st.floats(), st.none(), st.booleans()), min_size=1, max_size=6))
@settings(max_examples=40, deadline=None)
@example(["$x$", "_a", "\u202e", "<b>", "z" * 500, "a\nb"])
@example([10**5000])
def test_a_group_is_drawn_as_it_is(values):
    """Whatever the group, it is one short printable line that is neither mathematics nor TeX; no row is lost."""
    data = frame([LOST] * len(values), x=pd.Series(values, dtype=object))
    ax = charts.by(data, "x", axes(), shares=False)
    assert sum(widths(ax)) == len(values)
    for label in ax.get_yticklabels():
        assert label.get_text().isprintable()
        assert 0 < len(label.get_text()) <= 32
        assert not label.get_parse_math()
        assert not label.get_usetex()


def test_a_columns_name_is_drawn_as_it_is():
    with mpl.rc_context({"text.usetex": True}):
        ax = charts.by(grouped(("a", 1)).rename(columns={"x": "$x\n_"}), "$x\n_", axes())
    assert title(ax) == "Share that needs action, by $x _"
    assert not ax._left_title.get_usetex()
    assert not ax._left_title.get_parse_math()


@pytest.mark.parametrize(("face", "ink"), [("white", "black"), ("black", "white"), ("none", "black")])
def test_text_and_intervals_stand_out_from_the_figure_given(face, ink):
    ax = charts.by(grouped(("a", 1, 1)), "x", Figure(facecolor=face).subplots())
    drawn = [*ax.texts, *ax.get_yticklabels(), ax._left_title]
    assert {to_hex(text.get_color()) for text in drawn} == {to_hex(ink)}
    assert {to_hex(color) for color in ax.collections[0].get_color()} == {to_hex(ink)}


def test_prefix_sandbox_and_axes():
    data = grouped(("a", 1, 1)).assign(compliance_run="sandbox-" + RUN)
    ax = axes()
    assert charts.by(data.rename(columns=lambda n: n.replace("compliance_", "u_")), "x", ax, prefix="u_") is ax
    assert charts.SANDBOX in texts(ax)


def test_labels_lie_inside_the_figure_and_apart():
    ax = charts.by(grouped(*((f"a group with a long name {n:02}" * 2, n, 25 - n) for n in range(25))), "x")
    try:
        ax.figure.canvas.draw()
        check_layout(ax.figure, visible(ax))
    finally:
        close(ax)
