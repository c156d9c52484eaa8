"""What the tests of the charts share: checked frames, axes outside of pyplot, and what stands on them."""

from __future__ import annotations

import io

import matplotlib as mpl
import pandas as pd
import pytest
from matplotlib.figure import Figure

RUN = "tweets-20261123-0123abcd"


@pytest.fixture(autouse=True)
def untouched_globals():
    """No chart changes matplotlib's global settings, or leaves a figure behind that a test did not close."""
    from matplotlib import pyplot

    before, figures = dict(mpl.rcParams), pyplot.get_fignums()
    yield
    assert dict(mpl.rcParams) == before
    assert pyplot.get_fignums() == figures


def frame(status=(), reason=(), run=RUN, checked_at="2026-11-23T20:15:00Z", **others):
    n = len(status)
    return pd.DataFrame(
        {
            "compliance_status": pd.Series(status, dtype=object),
            "compliance_reason": pd.Series(reason or [None] * n, dtype=object),
            "compliance_checked_at": checked_at if isinstance(checked_at, list) else [checked_at] * n,
            "compliance_run": [run] * n,
            **others,
        }
    )


def flagged(*reason, **kwargs):
    return frame(["action_required"] * len(reason), list(reason), **kwargs)


def axes():
    return Figure(layout="constrained").subplots()


def names(ax):
    return [label.get_text() for label in ax.get_yticklabels()]


def texts(ax):
    return [text.get_text() for text in ax.texts]


def widths(ax):
    return [bar.get_width() for bar in ax.patches]


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def title(ax):
    return ax.get_title(loc="left")


def visible(ax):
    """Every text that is drawn; ticks outside of the limits and those of a hidden axis are not."""
    found = [*ax.texts, ax._left_title]
    for axis, limits in ((ax.xaxis, ax.get_xlim()), (ax.yaxis, ax.get_ylim())):
        ticks = axis.get_major_ticks() if axis.get_visible() and ax.axison else []
        found += [tick.label1 for tick in ticks if min(limits) <= tick.get_loc() <= max(limits)]
    found += ax.get_legend().get_texts() if ax.get_legend() else []
    return [text for text in found if text.get_text()]


def check_layout(figure, texts):
    """Every text lies inside of the figure, and none on another."""
    boxes = [text.get_window_extent() for text in texts]
    assert all(box.x0 >= 0 and box.x1 <= figure.bbox.width for box in boxes)
    assert all(box.y0 >= 0 and box.y1 <= figure.bbox.height for box in boxes)
    on_another = [
        (texts[n].get_text(), texts[m].get_text())
        for n, a in enumerate(boxes)
        for m, b in enumerate(boxes[:n])
        if a.overlaps(b)
    ]
    assert not on_another


def reloaded(data):
    """The frame as it comes back from a CSV file, where everything is text or a number; IDs are read as text."""
    return pd.read_csv(io.StringIO(data.to_csv(index=False)), dtype={"id": str})


def png(ax):
    out = io.BytesIO()
    ax.figure.savefig(out, format="png")
    return out.getvalue()


def close(ax):
    from matplotlib import pyplot

    pyplot.close(ax.figure)
