"""Over time, every row with a verdict and a time is counted once in its month, and every other row is told."""

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from chart_support import (
    RUN,
    axes,
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
)
from chart_support import untouched_globals as untouched_globals
from hypothesis import example, given, settings
from hypothesis import strategies as st
from matplotlib.colors import to_hex
from matplotlib.dates import num2date
from matplotlib.figure import Figure
from matplotlib.patches import StepPatch

from xcompliance_pd import charts
from xcompliance_pd.charts.delays import _POINTS, LINES_MAX
from xcompliance_pd.charts.times import FEW, MONTHS_MAX
from xcompliance_pd.errors import InputError
from xcompliance_pd.protocol import REASONS

EPOCH = 1_288_834_974_657


def post(when, low=0):
    """A post ID of a time, with anything in its lower bits."""
    return ((int(pd.Timestamp(when, tz="UTC").timestamp() * 1000) - EPOCH) << 22) + low


def posts(n=4000, seed=2):
    """Rows over 30 months, with every status, known, unknown and missing reasons."""
    rng = np.random.default_rng(seed)
    status = rng.choice(["compliant", "action_required", "unchecked", "invalid"], n, p=[0.5, 0.4, 0.07, 0.03])
    words = rng.choice(np.array(["suspended", "deleted", "aliens", None], dtype=object), n, p=[0.5, 0.3, 0.1, 0.1])
    seconds = np.sort(rng.integers(1_500_000_000, 1_580_000_000, n))
    data = frame(status.tolist(), np.where(status == "action_required", words, None).tolist())
    data["time"] = pd.to_datetime(seconds, unit="s", utc=True)
    data["id"] = ((seconds * 1000 - EPOCH) << 22) + rng.integers(0, 1 << 22, n)
    return data


def areas(ax):
    """The stacked areas by colour and hatch: the height in every period, pale or not."""
    stacked = {}
    for patch in ax.patches:
        if isinstance(patch, StepPatch) and patch.get_transform() == ax.transData:
            values, _, baseline = patch.get_data()
            look = (to_hex(patch.get_facecolor()), patch.get_hatch() or "")
            stacked[look] = stacked.get(look, 0) + np.nan_to_num(values - baseline)
    return stacked


def strip(ax):
    """The grey area of rows, as parts of the longest month, and the edges of the months."""
    (patch,) = [patch for patch in ax.patches if patch.get_transform() != ax.transData]
    values, edges, _ = patch.get_data()
    return values / values.max(), [f"{moment:%Y-%m-%d}" for moment in num2date(edges)]


# --------------------------------------------------------------------------- timeline


def test_heights_are_the_shares_of_an_independent_count():
    """Month by month and reason by reason, the areas are what a groupby counts among rows with a verdict."""
    data = posts()
    judged = data[data["compliance_status"].isin(["compliant", "action_required"])]
    month = judged["time"].dt.strftime("%Y-%m-01")
    lost = judged["compliance_status"] == "action_required"
    shares, counts = (charts.timeline(data, "id", axes(), shares=some) for some in (True, False))
    total = month.groupby(month).size()
    looks = {**charts.REASON_STYLES, "aliens": (charts.GREY, "o"), None: (charts.GREY, "")}
    for word in ("deleted", "suspended", "aliens", None):
        mine = lost & (judged["compliance_reason"].isna() if word is None else judged["compliance_reason"] == word)
        rows = mine.groupby(month).sum()
        look = (looks[word][0].lower(), looks[word][1])
        assert areas(counts)[look].tolist() == rows.tolist()
        assert areas(shares)[look] == pytest.approx((rows / total).to_numpy())
    heights, edges = strip(shares)
    assert edges[:-1] == total.index.tolist()
    assert heights == pytest.approx((total / total.max()).to_numpy())
    assert f"{total.max()} rows" in names(shares)
    assert set(legend(shares)) == {"deleted", "suspended", "aliens", charts.NO_REASON}


def test_colours_and_hatches_are_those_of_the_bars():
    words = [*REASONS, "aliens", None]
    data = flagged(*words, time=["2024-05-05"] * len(words))
    bars = charts.reasons(data, axes()).patches
    drawn = charts.timeline(data, "time", axes())
    assert set(areas(drawn)) == {(to_hex(bar.get_facecolor()), bar.get_hatch() or "") for bar in bars}
    handles = dict(zip(legend(drawn), drawn.get_legend().legend_handles, strict=True))
    for word, look in charts.REASON_STYLES.items():
        assert (to_hex(handles[word].get_facecolor()).upper(), handles[word].get_hatch() or "") == look


def test_the_legend_is_read_line_by_line_in_the_fixed_order():
    words = list(REASONS)
    ax = charts.timeline(flagged(*words, time=["2024-05-05"] * len(words)), "time", axes())
    ax.figure.draw_without_rendering()
    places = [text.get_window_extent() for text in ax.get_legend().get_texts()]
    order = sorted(range(len(words)), key=lambda n: (-round(places[n].y0), places[n].x0))
    assert [legend(ax)[n] for n in order] == words


KINDS = {
    "int64": lambda data: data["id"],
    "str": lambda data: data["id"].astype(str),
    "object of int": lambda data: data["id"].astype(object),
    "category of str": lambda data: data["id"].astype(str).astype("category"),
    "Int64": lambda data: data["id"].astype("Int64"),
    "UTC": lambda data: data["time"],
    "naive": lambda data: data["time"].dt.tz_localize(None),
    "another zone": lambda data: data["time"].dt.tz_convert("Asia/Tokyo"),
    "ISO text": lambda data: data["time"].dt.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
    "ISO text of category": lambda data: data["time"].dt.strftime("%Y-%m-%d %H:%M:%S").astype("category"),
    "object of datetime": lambda data: data["time"].astype(object),
    "date": lambda data: data["time"].dt.date,
}
ARROW = {
    "Arrow time": lambda data: data["time"].dt.tz_localize(None).astype("timestamp[us][pyarrow]"),
    "Arrow zoned": lambda data: data["time"].astype("timestamp[us, tz=UTC][pyarrow]"),
    "Arrow date": lambda data: data["time"].dt.date.astype("date32[pyarrow]"),
    "Arrow text": lambda data: data["id"].astype(str).astype("string[pyarrow]"),
}


@pytest.mark.parametrize("kind", [*KINDS, *ARROW])
def test_every_type_of_column_gives_the_same_picture(kind):
    if kind in ARROW:
        pytest.importorskip("pyarrow")
    data = posts(600)
    expected = areas(charts.timeline(data, "id", axes()))
    drawn = areas(charts.timeline(data.assign(x={**KINDS, **ARROW}[kind](data)), "x", axes()))
    assert list(drawn) == list(expected)
    assert all(np.array_equal(drawn[look], expected[look]) for look in expected)


def test_a_reloaded_csv_gives_the_same_picture():
    """Saved and read again, as text and numbers, the frame gives the same picture byte for byte."""
    data = posts(900)
    for column in ("id", "time"):
        assert png(charts.timeline(data, column, axes())) == png(charts.timeline(reloaded(data), column, axes()))


def test_rows_without_verdict_or_time_are_told_and_not_drawn():
    data = frame(
        ["action_required", "compliant", "compliant", "action_required", "unchecked", "invalid"],
        ["deleted", None, None, "suspended", None, None],
        id=[str(post("2024-01-31T23:59:59")), str(post("2024-01-01")), "20", None, None, "x"],
    )
    ax = charts.timeline(data, "id", axes())
    assert [height.tolist() for height in areas(ax).values()] == [[0.5]]
    assert set(texts(ax)) == {
        "n = 6 rows, checked 2026-11-23 UTC",
        "2 of them without a verdict",
        "2 rows without a time",
        "share = action_required / (action_required + compliant)",
        "pale: fewer than 30 rows",
    }


def test_a_time_after_the_check_is_told_and_does_not_stretch_the_axis():
    """A damaged ID may say 2079; no post was checked before it was made."""
    data = frame(["compliant"] * 3, id=[post("2024-05-05"), post("2024-06-05"), post("2079-01-01")])
    ax = charts.timeline(data, "id", axes())
    assert strip(ax)[1] == ["2024-05-01", "2024-06-01", "2024-07-01"]
    assert "1 row with a time after the check" in texts(ax)


def test_months_without_rows_are_gaps():
    ax = charts.timeline(flagged("deleted", "deleted", id=[post("2024-01-05"), post("2024-04-05")]), "id", axes())
    assert strip(ax)[0].tolist() == [1, 0, 0, 1]
    (heights,) = areas(ax).values()
    assert heights.tolist() == [1, 0, 0, 1]


def test_months_with_few_rows_are_pale():
    """A share of fewer than 30 rows is mostly chance; it is drawn pale, which a note explains."""
    time = ["2024-01-05"] * FEW + ["2024-02-05"] * (FEW - 1)
    ax = charts.timeline(flagged(*["deleted"] * len(time), time=time), "time", axes())
    drawn = {patch.get_alpha(): patch for patch in ax.patches if patch.get_transform() == ax.transData}
    assert np.isfinite(drawn[None].get_data().values).tolist() == [True, False]
    (pale,) = (patch for alpha, patch in drawn.items() if alpha)
    assert np.isfinite(pale.get_data().values).tolist() == [False, True]
    assert "pale: fewer than 30 rows" in texts(ax)
    counts = charts.timeline(flagged(*["deleted"] * len(time), time=time), "time", axes(), shares=False)
    assert not any("pale" in text for text in texts(counts))


@pytest.mark.parametrize(("last", "unit"), [("2023-12-31", "month"), ("2024-01-01", "year")])
def test_more_than_ten_years_are_drawn_by_year(last, unit):
    ax = charts.timeline(flagged("deleted", "deleted", time=["2014-01-01", last]), "time", axes())
    assert title(ax) == f"Share that needs action, by {unit} of time"
    assert len(strip(ax)[0]) == {"month": MONTHS_MAX, "year": 11}[unit]


def test_title_says_what_the_months_are_of():
    data = flagged("deleted", id=[post("2024-01-05")], made=["2024-01-05"])
    assert title(charts.timeline(data, "id", axes())) == "Share that needs action, by month of posting"
    assert title(charts.timeline(data, "made", axes(), shares=False)) == "Rows that need action, by month of made"


def test_events_can_be_marked_on_the_axis():
    """The axis holds dates, so a moment lands in its own month."""
    ax = charts.timeline(posts(300), "id", axes())
    line = ax.axvline(pd.Timestamp("2018-03-15"))
    ax.figure.draw_without_rendering()
    low, high = ax.get_xlim()
    assert low < ax.convert_xunits(line.get_xdata()[0]) < high


def test_nothing_to_draw_says_so():
    for data in (frame(), frame(["unchecked"]), frame(["compliant"])):
        ax = charts.timeline(data.assign(id=pd.Series([None] * len(data), dtype=object)), "id", axes())
        assert texts(ax)[0] == "no row with a verdict has a time"
        assert png(ax)
    ax = charts.timeline(frame(["compliant"], id=[post("2024-01-05")]), "id", axes())
    assert names(ax)[1] == "0 %"
    assert png(ax)


def test_user_ids_tell_no_time():
    """The ID of an account says nothing about posting: refused by the run's type, by name, or by the values."""
    data = flagged("deleted", id=[post("2024-01-05")], author_id=[post("2024-01-05")], old=[20], time=["2024-01-05"])
    for run in ("users-20261123-0123abcd", "sandbox-users-20261123-0123abcd"):
        users = data.assign(compliance_run=run)
        with pytest.raises(InputError, match="checked users"):
            charts.timeline(users, "id", axes())
        assert charts.timeline(users, "time", axes())
    with pytest.raises(InputError, match=r"author_id.*looks like user IDs"):
        charts.timeline(data, "author_id", axes())
    with pytest.raises(InputError, match="100% of the IDs"):
        charts.timeline(data, "old", axes())


@pytest.mark.parametrize(
    "values",
    [
        ["hello"],
        ["Wed Oct 10 20:19:24 +0000 2018"],
        [True],
        [[1]],
        pd.to_timedelta(["1h"]),
        pd.period_range("2020", freq="D", periods=1),
    ],
    ids=["text", "old API date", "bool", "list", "timedelta", "period"],
)
def test_what_is_neither_id_nor_time_is_refused_with_advice(values):
    with pytest.raises(InputError, match=r"neither post IDs nor times.*pd.to_datetime"):
        charts.timeline(flagged("deleted").assign(x=values), "x", axes())


def test_columns_that_cannot_be_meant():
    data = flagged("deleted", compliance_created_at=["2024-01-05"])
    with pytest.raises(InputError, match="only for IDs that it lists"):
        charts.timeline(data, "compliance_created_at", axes())
    assert charts.timeline(data, "compliance_created_at", axes(), shares=False)
    with pytest.raises(InputError, match="There is no column 'when'; the columns are"):
        charts.timeline(data, "when", axes())
    with pytest.raises(InputError, match="no column"):
        charts.timeline(data, ["when"], axes())
    double = pd.concat([data, data["compliance_run"].rename("x"), data["compliance_run"].rename("x")], axis=1)
    with pytest.raises(InputError, match="several columns named 'x'"):
        charts.timeline(double, "x", axes())


def test_many_reasons_are_summed_up_not_dropped():
    words = [f"r{n}" for n in range(500)]
    data = flagged(*words, "deleted", "deleted", time=["2024-01-05"] * 502)
    ax = charts.timeline(data, "time", axes(), shares=False)
    assert {"deleted", "(490 other reasons)"} < {*legend(ax)}
    assert sum(height.sum() for height in areas(ax).values()) == 502


# --------------------------------------------------------------------------- redaction_delay


def redacted(*delays, reason=None, made="2024-01-01T00:00:00.000Z"):
    made = pd.Timestamp(made)
    gone = [None if delay is None else (made + pd.Timedelta(delay)).isoformat() for delay in delays]
    return flagged(
        *(reason or ["deleted"] * len(delays)),
        compliance_created_at=[made.isoformat()] * len(delays),
        compliance_redacted_at=gone,
    )


def height_at(line, seconds):
    """The height of a step line at some time."""
    x, y = line.get_data()
    return y[np.searchsorted(x, seconds, side="right") - 1]


@given(st.lists(st.integers(1, 10**8), min_size=1, max_size=50))
@settings(max_examples=30, deadline=None)
def test_a_line_is_the_share_gone_within_that_time(seconds):
    ax = charts.redaction_delay(redacted(*(f"{n}s" for n in seconds)), axes())
    (line,) = ax.get_lines()
    for moment in seconds:
        assert height_at(line, moment) == pytest.approx(np.mean(np.array(seconds) <= moment))
    assert line.get_ydata()[[0, -1]].tolist() == [0, 1]
    assert line.get_drawstyle() == "steps-post"


def test_many_rows_are_drawn_by_few_points_and_lie_on_the_curve():
    seconds = np.random.default_rng(1).integers(1, 10**8, 20_000)
    data = redacted(*["1s"] * len(seconds))
    data["compliance_redacted_at"] = pd.Timestamp("2024-01-01", tz="UTC") + pd.to_timedelta(seconds, unit="s")
    (line,) = charts.redaction_delay(data, axes()).get_lines()
    x, y = line.get_data()
    assert len(x) == _POINTS + 1
    assert y[1:] == pytest.approx(np.searchsorted(np.sort(seconds), x[1:], side="right") / len(seconds), abs=1e-3)


def test_rows_without_both_times_or_with_negative_delay_are_told():
    data = redacted("1h", None, "-1s", "0s", "2h")
    data.loc[4, "compliance_created_at"] = None
    ax = charts.redaction_delay(data, axes())
    assert legend(ax) == ["deleted (2)"]
    assert {"2 flagged rows without both times", "1 flagged row redacted before creation, not drawn"} < {*texts(ax)}
    assert ax.get_lines()[0].get_xdata().tolist() == [1, 1, 3600]  # no time at all is drawn at one second


def test_only_rows_that_need_action_are_drawn():
    data = redacted("1h", "1D")
    data.loc[1, "compliance_status"] = "unchecked"
    assert legend(charts.redaction_delay(data, axes())) == ["deleted (1)"]


def test_all_and_each_reason_in_its_own_colour():
    words = ["deleted", "deleted", "suspended", "aliens"]
    ax = charts.redaction_delay(redacted("1h", "2h", "1D", "1D", reason=words), axes())
    assert legend(ax) == ["all (4)", "deleted (2)", "suspended (1)", "aliens (1)"]
    colors = [to_hex(line.get_color()).upper() for line in ax.get_lines()]
    assert colors[1:3] == [charts.REASON_STYLES[word][0] for word in ("deleted", "suspended")]
    assert colors[3] == charts.GREY
    dashes = [str(line.get_linestyle()) + str(line._unscaled_dash_pattern) for line in ax.get_lines()[1:3]]
    assert dashes[0] != dashes[1]  # not by colour alone


def test_rare_reasons_are_in_the_line_of_all():
    words = [*REASONS, "deleted"]
    ax = charts.redaction_delay(redacted(*["1h"] * 9, reason=words), axes())
    assert len(ax.get_lines()) == LINES_MAX + 1
    assert legend(ax)[:2] == ["all (9)", "deleted (2)"]


@pytest.mark.parametrize(
    ("delays", "marks"),
    [
        (("1s", "20min", "2h"), ["1 s", "1 min", "1 h"]),
        (("10s", "400D"), ["1 min", "1 h", "1 day", "1 month", "1 year"]),
        (("3h", "50h"), ["4 h", "8 h", "16 h", "1 day", "2 days"]),
        (("90min", "91min"), ["1 h", "2 h"]),
        (("4000D", "7000D"), ["10 years", "20 years"]),
    ],
)
def test_time_is_marked_in_human_units(delays, marks):
    ax = charts.redaction_delay(redacted(*delays), axes())
    assert [label.get_text() for label in ax.get_xticklabels()] == marks
    assert ax.get_xscale() == "log"
    low, high = ax.get_xlim()
    assert all(low <= mark <= high for mark in ax.get_xticks())


def test_no_delay_says_so():
    for data in (frame(["compliant"]), redacted(None), redacted("-1h")):
        times = {"compliance_created_at": None, "compliance_redacted_at": None}
        ax = charts.redaction_delay(data.assign(**{k: v for k, v in times.items() if k not in data}), axes())
        assert texts(ax)[0] == "no row that needs action has both times"
        assert png(ax)


def test_a_reloaded_csv_gives_the_same_delays():
    data = redacted("1h", "2h", "90D", None)
    for name in ("created_at", "redacted_at"):
        data[f"compliance_{name}"] = pd.to_datetime(data[f"compliance_{name}"], utc=True, format="ISO8601")
    assert png(charts.redaction_delay(data, axes())) == png(charts.redaction_delay(reloaded(data), axes()))


def test_kwargs_reach_every_line_in_either_spelling():
    ax = charts.redaction_delay(redacted("1h", "2h", reason=["deleted", "suspended"]), axes(), lw=5, c="#123456")
    assert {(line.get_linewidth(), to_hex(line.get_color())) for line in ax.get_lines()} == {(5, "#123456")}


# --------------------------------------------------------------------------- both


DRAW = {
    "timeline": lambda data, ax=None, **kwargs: charts.timeline(data, "time", ax, **kwargs),
    "redaction_delay": charts.redaction_delay,
}


@pytest.mark.filterwarnings("ignore:.*missing from.*font", "ignore:Matplotlib currently does not support")
@pytest.mark.parametrize("draw", DRAW.values(), ids=DRAW)
@given(word=st.text(min_size=1))
@settings(max_examples=25, deadline=None)
@example(r"$\frac{$")
@example("_hidden")
@example("<b>&amp;\n\x1b[31m")
@example("\u202eevil\u2066")
@example("\u200b")
@example("z" * 500)
def test_a_word_of_the_service_is_drawn_as_it_is(draw, word):
    """Whatever the word, it is one short printable line that is neither mathematics nor TeX."""
    ax = draw(redacted("1h", "3D", reason=[word, "deleted"]).assign(time="2024-01-05"), axes())
    labels = ax.get_legend().get_texts()
    assert len(labels) in (1, 2, 3)
    for label in labels:
        assert label.get_text().isprintable()
        assert 0 < len(label.get_text()) <= 40
        assert not label.get_parse_math()
        assert not label.get_usetex()
    ax.figure.draw_without_rendering()


@pytest.mark.parametrize("draw", DRAW.values(), ids=DRAW)
@pytest.mark.parametrize(("face", "ink"), [("white", "black"), ("black", "white"), ("none", "black")])
def test_text_stands_out_from_the_figure_given(draw, face, ink):
    ax = draw(redacted("1h", "3D", reason=["deleted", "tweet_edited"]).assign(time="2024-01-05"),
              Figure(facecolor=face).subplots())  # fmt: skip
    assert {to_hex(text.get_color()) for text in visible(ax)} == {to_hex(ink)}
    assert ax.patch.get_visible() == (face != "black")


@pytest.mark.parametrize("face", ["white", "black"])
def test_every_line_stands_out_from_the_figure(face):
    """Yellow on white and black on black get an outline."""
    words = ["tweet_edited", "geo_scrubbed"]
    ax = charts.redaction_delay(redacted("1h", "3D", reason=words), Figure(facecolor=face).subplots())
    outlined = {
        label.split()[0] for label, line in zip(legend(ax), ax.get_lines(), strict=True) if line.get_path_effects()
    }
    assert outlined == {{"white": "tweet_edited", "black": "geo_scrubbed"}[face]}


@pytest.mark.parametrize("draw", DRAW.values(), ids=DRAW)
def test_text_stays_text_in_a_style_that_uses_tex(draw):
    with mpl.rc_context({"text.usetex": True}):
        ax = draw(redacted("1h", "3D", reason=["$%_#", "deleted"]).assign(time="2024-01-05"), axes())
        drawn = [*ax.texts, *ax.get_yticklabels(), *ax.get_legend().get_texts(), ax._left_title]
    assert not any(text.get_usetex() for text in drawn)


@pytest.mark.parametrize("draw", DRAW.values(), ids=DRAW)
def test_the_axes_given_is_the_axes_returned(draw):
    ax = axes()
    data = redacted("1h").assign(time="2024-01-05")
    assert draw(data, ax) is ax
    new = draw(data)
    assert new is not ax
    close(new)


@pytest.mark.parametrize("draw", DRAW.values(), ids=DRAW)
def test_prefix_and_sandbox(draw):
    data = redacted("1h").assign(time="2024-01-05", compliance_run="sandbox-" + RUN)
    ax = draw(data.rename(columns=lambda name: name.replace("compliance_", "u_")), axes(), prefix="u_")
    assert charts.SANDBOX in texts(ax)
    assert "n = 1 rows, checked 2026-11-23 UTC" in texts(ax)


@pytest.mark.parametrize("draw", DRAW.values(), ids=DRAW)
def test_labels_lie_inside_the_figure_and_apart(draw):
    data = redacted("13s", "3000D", reason=["a new reason with a long name, so long that it is cut", "deleted"])
    ax = draw(pd.concat([data.assign(time=f"20{n}-06-01") for n in range(15, 25)], ignore_index=True))
    try:
        ax.figure.canvas.draw()
        check_layout(ax.figure, visible(ax))
    finally:
        close(ax)
