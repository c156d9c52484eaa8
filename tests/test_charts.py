"""What is drawn is what was counted, in a fixed colour and hatch, and no word from the service can break a figure."""

import time

import matplotlib as mpl
import numpy as np
import pytest
from chart_support import RUN, axes, close, flagged, frame, names, png, texts, widths
from chart_support import untouched_globals as untouched_globals
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from xcompliance_pd import charts
from xcompliance_pd.protocol import REASONS
from xcompliance_pd.summary import percent
from xcompliance_pd.verdicts import STATUSES


def test_reasons_biggest_on_top_with_rows_and_share_of_all_rows():
    data = frame(
        ["compliant"] * 4 + ["action_required"] * 6,
        [None] * 4 + ["suspended", "suspended", "aliens", "suspended", None, "deleted"],
    )
    ax = charts.reasons(data, axes())
    assert names(ax) == ["suspended", "deleted", "aliens", charts.NO_REASON]  # equal counts: known, unknown, missing
    assert widths(ax) == [3, 1, 1, 1]
    assert texts(ax)[:4] == ["3 (30.0 %)", "1 (10.0 %)", "1 (10.0 %)", "1 (10.0 %)"]
    bottom, top = ax.get_ylim()
    assert bottom > top  # position 0 is on top
    assert ax.get_title(loc="left") == "Rows that need action, by reason"


def test_reasons_counts_only_rows_that_need_action():
    ax = charts.reasons(frame(["unchecked", "action_required"], ["internal_error", "deleted"]), axes())
    assert names(ax) == ["deleted"]


def test_subtitle_says_denominator_and_days():
    assert texts(charts.reasons(flagged(*["deleted"] * 2000), axes()))[1:] == ["n = 2,000 rows, checked 2026-11-23 UTC"]
    two = flagged("deleted", "deleted", checked_at=["2026-11-23T23:59:59Z", "2026-11-25T00:00:00Z"])
    assert texts(charts.reasons(two, axes()))[1:] == ["n = 2 rows, checked 2026-11-23 to 2026-11-25 UTC"]


def test_rows_without_verdict_are_told():
    data = frame(["unchecked", "invalid", "compliant"])
    assert "2 of them without a verdict" in texts(charts.reasons(data, axes()))


def test_sandbox_is_told_in_words():
    assert charts.SANDBOX in texts(charts.reasons(flagged("deleted", run="sandbox-" + RUN), axes()))
    assert charts.SANDBOX in texts(charts.status(flagged("deleted", run=f"{RUN} sandbox-users-20261123-0"), axes()))
    assert charts.SANDBOX not in texts(charts.status(flagged("deleted"), axes()))


def test_nothing_flagged_and_nothing_at_all():
    assert texts(charts.reasons(frame(["compliant"]), axes()))[0] == "no row needs action"
    ax = charts.reasons(frame(), axes())
    assert texts(ax) == ["no row needs action", "n = 0 rows, never checked"]
    assert png(ax)
    assert texts(charts.status(frame(), axes()))[:4] == ["0 (0.0 %)"] * 4


def test_status_shows_all_four_in_fixed_order():
    ax = charts.status(frame(["unchecked"] * 3 + ["action_required"]), axes())
    assert names(ax) == list(STATUSES)
    assert widths(ax) == [0, 1, 3, 0]


def test_one_colour_and_hatch_for_a_reason_in_every_chart():
    alone = {name: charts.reasons(flagged(name), axes()).patches[0] for name in REASONS}
    together = charts.reasons(flagged(*REASONS), axes())
    for name, bar in zip(names(together), together.patches, strict=True):
        assert to_hex(bar.get_facecolor()).upper() == charts.REASON_STYLES[name][0]
        assert (bar.get_facecolor(), bar.get_hatch()) == (alone[name].get_facecolor(), alone[name].get_hatch())
    styles = charts.REASON_STYLES.values()
    assert set(charts.REASON_STYLES) == set(REASONS)
    assert len({color for color, _ in styles}) == len({hatch for _, hatch in styles}) == len(REASONS)
    assert set(charts.STATUS_STYLES) == set(STATUSES)


def test_unknown_reasons_share_a_grey_and_differ_in_hatch():
    ax = charts.reasons(flagged("a", "b", "c", "d", "deleted"), axes())
    bars = {name: bar for name, bar in zip(names(ax), ax.patches, strict=True) if name != "deleted"}
    assert {to_hex(bar.get_facecolor()) for bar in bars.values()} == {charts.GREY}
    assert len({bar.get_hatch() for bar in bars.values()}) == 4


def test_very_many_reasons_are_summed_up_not_dropped():
    ax = charts.reasons(flagged(*(f"r{n}" for n in range(500)), "deleted"), axes())
    assert len(ax.patches) == charts.BARS_MAX
    assert names(ax)[-1] == "(482 other reasons)"
    assert sum(widths(ax)) == 501


@pytest.mark.parametrize(
    "word",
    [r"$\frac{$", "$x$", "<b>&amp;", "50 % of #_^~\\", "a\x00\x1b[31m\nb", "\ufffe", "z" * 500, "(no reason given)"],
)
def test_a_word_of_the_service_is_drawn_as_it_is(word):
    ax = charts.reasons(flagged(word, None), axes())
    assert png(ax).startswith(b"\x89PNG")
    shown = names(ax)[0]
    assert len(shown) <= 32
    assert shown.isprintable()
    assert widths(ax) == [1, 1]
    label = ax.get_yticklabels()[0]
    assert not label.get_parse_math()
    assert not label.get_usetex()


def test_text_stays_text_in_a_style_that_uses_tex():
    with mpl.rc_context({"text.usetex": True}):
        ax = charts.reasons(flagged("$%_#"), axes())
    assert not any(text.get_usetex() for text in [*ax.texts, *ax.get_yticklabels()])


def test_equal_counts_stand_in_the_fixed_order():
    unknown = [f"r{n:02}" for n in range(11)]
    words = [*REASONS, *unknown]
    assert names(charts.reasons(flagged(*reversed(words)), axes())) == words


def test_a_small_axes_keeps_its_width():
    ax = Figure(figsize=(3.5, 2), layout="constrained").subplots()
    checked_at = ["2026-11-23T00:00:00Z", "2026-12-23T00:00:00Z"]
    charts.reasons(flagged("deleted", "deleted", run="sandbox-" + RUN, checked_at=checked_at), ax)
    ax.figure.draw_without_rendering()
    assert ax.get_window_extent().width > 0.6 * ax.figure.bbox.width


def test_labels_lie_inside_the_figure_and_apart():
    data = flagged(*["a new reason with a long name, so long that it is cut"] * 900, *["deleted"] * 1100)
    for draw in (charts.reasons, charts.status):
        ax = draw(data)
        try:
            ax.figure.canvas.draw()
            boxes = [text.get_window_extent() for text in [*ax.texts, *ax.get_yticklabels()]]
            assert all(box.x0 >= 0 and box.x1 <= ax.figure.bbox.width and box.y0 >= 0 for box in boxes)
            assert not any(a.overlaps(b) for n, a in enumerate(boxes) for b in boxes[:n])
        finally:
            close(ax)


@pytest.mark.parametrize(("face", "ink"), [("white", "black"), ("black", "white"), ("none", "black")])
def test_text_stands_out_from_the_figure_given(face, ink):
    ax = charts.reasons(flagged("deleted"), Figure(facecolor=face).subplots())
    drawn = [*ax.texts, *ax.get_yticklabels(), *(child for child in ax.get_children() if child is ax._left_title)]
    assert {to_hex(text.get_color()) for text in drawn} == {to_hex(ink)}


def test_a_panel_that_would_swallow_the_ink_is_taken_away():
    """White text for a black figure cannot be read on the white panel that matplotlib puts into it."""
    assert not charts.status(frame(["compliant"]), Figure(facecolor="black").subplots()).patch.get_visible()
    assert charts.status(frame(["compliant"]), Figure(facecolor="white").subplots()).patch.get_visible()


def test_a_new_figure_is_never_transparent():
    with mpl.rc_context({"figure.facecolor": "none"}):
        ax = charts.reasons(flagged("deleted"))
    try:
        assert to_hex(ax.figure.get_facecolor(), keep_alpha=True) == "#ffffffff"
    finally:
        close(ax)


def test_the_axes_given_is_the_axes_returned_and_kwargs_reach_barh():
    ax = axes()
    assert charts.status(flagged("deleted"), ax, color="#123456", height=0.25) is ax
    assert {to_hex(bar.get_facecolor()) for bar in ax.patches} == {"#123456"}
    assert {bar.get_height() for bar in ax.patches} == {0.25}


def test_prefix():
    data = flagged("deleted").rename(columns=lambda name: name.replace("compliance_", "u_"))
    assert names(charts.reasons(data, axes(), prefix="u_")) == ["deleted"]


def test_percent_never_rounds_to_none_or_all():
    assert [percent(n, 2_000_000) for n in (0, 1, 1_000_000, 1_999_999, 2_000_000)] == [
        "0.0 %",
        "<0.1 %",
        "50.0 %",
        ">99.9 %",
        "100.0 %",
    ]


def test_a_million_rows_are_drawn_at_once():
    rng = np.random.default_rng(3)
    data = flagged("deleted", None).iloc[rng.integers(0, 2, 1_000_000)]
    start = time.perf_counter()
    assert sum(widths(charts.reasons(data, axes()))) == 1_000_000
    assert time.perf_counter() - start < 10  # about a third of a second; a loop over rows takes longer
