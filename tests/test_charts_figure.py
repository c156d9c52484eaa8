"""The overview is the four charts, counted alike, in one figure that fits a column of a paper."""

import pandas as pd
import pytest
from chart_support import (
    RUN,
    check_layout,
    close,
    flagged,
    frame,
    legend,
    names,
    png,
    reloaded,
    texts,
    title,
    visible,
    widths,
)
from chart_support import untouched_globals as untouched_globals
from matplotlib import pyplot
from matplotlib.colors import to_hex

from xcompliance_pd import charts
from xcompliance_pd.errors import InputError


def data(run=RUN):
    rows = frame(
        ["action_required", "action_required", "compliant", "unchecked"],
        ["deleted", "a reason that nobody has ever heard of", None, None],
        run=run,
        id=["1228393702244134912", "1228393702244134913", "1238393702244134912", None],
        compliance_action=["delete", "scrub_geo", None, None],
        compliance_created_at=["2020-02-14T19:00:55.723Z", "2020-02-14T19:00:55.723Z", None, None],
        compliance_redacted_at=["2020-02-15T19:00:55.723Z", "2021-02-15T19:00:55.723Z", None, None],
    )
    return pd.concat([rows] * 3, ignore_index=True)


@pytest.fixture
def overview():
    drawn = []

    def draw(*args, **kwargs):
        drawn.append(charts.overview(*args, **kwargs))
        return drawn[-1]

    yield draw
    for panels in drawn:
        close(panels[0, 0])


def test_four_panels_in_one_new_figure(overview):
    panels = overview(data(), "id")
    figure = panels[0, 0].figure
    assert panels.shape == (2, 2)
    assert list(panels.flat) == figure.axes
    assert figure.get_size_inches().tolist() == [7.2, 6]
    assert [title(ax)[:3] for ax in panels.flat] == ["a  ", "b  ", "c  ", "d  "]
    assert title(panels[1, 0]) == "c  Action needed, by month of posting"
    assert figure.get_suptitle() == "n = 12 rows, checked 2026-11-23 UTC; 3 of them without a verdict"


def test_panels_count_as_the_single_charts_do(overview):
    a, b, c, d = overview(data(), "id").flat
    for panel, draw in ((a, charts.status), (b, charts.reasons)):
        single = draw(data())
        assert widths(panel) == widths(single)
        assert texts(panel)[: len(panel.patches)] == texts(single)[: len(panel.patches)]
        close(single)
    assert legend(d) == ["all (6)", "deleted (3)", "a reason that no… (3)"]
    assert {to_hex(patch.get_facecolor()) for patch in b.patches} < {
        to_hex(patch.get_facecolor()) for patch in c.patches
    }


def test_without_a_column_the_actions_are_shown(overview):
    ax = overview(data())[1, 0]
    assert title(ax) == "c  Action needed, by action"
    assert names(ax) == ["delete", "scrub_geo"]
    assert widths(ax) == [3, 3]


def test_every_panel_says_that_it_is_invented(overview):
    assert all(charts.SANDBOX in texts(ax) for ax in overview(data("sandbox-" + RUN), "id").flat)
    assert not any(charts.SANDBOX in texts(ax) for ax in overview(data(), "id").flat)


@pytest.mark.parametrize("column", ["id", None])
@pytest.mark.parametrize("style", ["default", "dark_background", "ggplot"])
def test_text_can_be_read_and_lies_apart_in_any_style(overview, style, column):
    """Font sizes are those of a paper, the ink stands out, and nothing overlaps or leaves the figure."""
    with pyplot.style.context(style):
        panels = overview(data("sandbox-" + RUN), column)
        figure = panels[0, 0].figure
        figure.canvas.draw()
    ink = "white" if style == "dark_background" else "black"
    drawn = [figure._suptitle, *(text for ax in panels.flat for text in visible(ax))]
    assert {to_hex(text.get_color()) for text in drawn} == {to_hex(ink)}
    assert min(text.get_fontsize() for text in drawn) >= 7
    check_layout(figure, drawn)


def test_a_reloaded_csv_gives_the_same_picture(overview):
    frame = data()
    for name in ("created_at", "redacted_at", "checked_at"):
        frame[f"compliance_{name}"] = pd.to_datetime(frame[f"compliance_{name}"], utc=True, format="ISO8601")
    assert png(overview(frame, "id")[0, 0]) == png(overview(reloaded(frame), "id")[0, 0])


def test_nothing_at_all_can_be_drawn(overview):
    empty = data().head(0)
    assert png(overview(empty, "id")[0, 0])
    assert png(overview(empty)[0, 0])


def test_an_error_leaves_no_figure_behind():
    """What cannot be drawn is refused before a figure is made, so that no empty one is shown."""
    with pytest.raises(InputError, match="no column 'when'"):
        charts.overview(data(), "when")
    with pytest.raises(InputError, match="u_reason"):
        charts.overview(data(), "id", prefix="u_")


def test_prefix(overview):
    renamed = data().rename(columns=lambda name: name.replace("compliance_", "u_"))
    assert title(overview(renamed, "id", prefix="u_")[0, 0]) == "a  Rows by status"


def test_reasons_of_any_length_leave_the_panels_their_width(overview):
    words = [f"{n} a reason with a very long name" for n in range(30)]
    rows = flagged(*words, compliance_created_at=None, compliance_redacted_at=None, compliance_action="delete")
    panels = overview(rows)
    panels[0, 0].figure.draw_without_rendering()
    assert all(ax.get_window_extent().width > 0.25 * ax.figure.bbox.width for ax in panels.flat)
