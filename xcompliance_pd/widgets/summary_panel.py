"""The outcome of a check to click through: charts that are drawn when they are asked for, and the table of counts."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Hashable
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from pandas.api.types import is_datetime64_any_dtype

from .. import charts, ids, summary
from ..errors import InputError
from ..summary import plain
from ..verdicts import VERDICT_COLUMNS
from .panel import Bundle, Panel, box, handler, message, note, table, toolkit, words

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHARES, COUNTS = "Shares", "Counts"
TABS = ("Status", "Reasons", "Over time", "Redaction delay", "By group", "Table")
FORMATS = ("png", "svg", "pdf")
GROUPS_MAX = 50
SAMPLE = 1000  # rows that are looked at to tell what a column holds
DPI = 110


class SummaryPanel(Panel):
    """Look through the outcome of a check: a tab for each chart and one for the counts.

    As the last line of a cell it is two outputs: a table of the counts, which stays in the saved notebook, and the
    controls. ``panel.panel`` is the controls alone, for a layout of one's own. A chart is drawn when its tab is opened.

    Parameters
    ----------
    checked : DataFrame
        What ``check`` or ``join`` returned, or the same reloaded from a file.
    prefix : str
        The prefix given to ``check`` or ``join``.
    column : label, optional
        The column of times or post IDs that "Over time" begins with; otherwise the first that looks like one.

    Raises
    ------
    InputError
        The frame has no verdict columns, or no such column.

    Examples
    --------
    >>> import pandas as pd, xcompliance_pd as xc
    >>> posts = pd.DataFrame({"id": ["1212092628029698048", "1212092628029698049"], "lang": ["en", "de"]})
    >>> with xc.Sandbox(findings=[]) as box:
    ...     checked = posts.compliance.check("id", client=box.client)
    >>> xc.SummaryPanel(checked)
    2 rows: 2 compliant, 0 action_required, 0 unchecked, 0 invalid
    """

    def __init__(self, checked: pd.DataFrame, prefix: str = "compliance_", column: Hashable | None = None) -> None:
        if not isinstance(checked, pd.DataFrame):
            raise InputError(f"SummaryPanel needs the frame that check() returned, not {checked.__class__.__name__}.")
        if column is not None and column not in checked.columns:
            raise InputError(f"There is no column {plain(repr(column))}. Name a column of times or post IDs.")
        self._frame = checked
        self._prefix = prefix
        self._column = column
        self._counts = summary.summary(checked, prefix)
        self._drawn: dict[tuple[object, ...], str] = {}  # the charts so far, as HTML

    # ----------------------------------------------------------------- what stays

    def record(self) -> Bundle:
        rows = self._counts.groupby("status", observed=False)["rows"].sum()
        text = f"{len(self._frame):,} rows: " + ", ".join(f"{rows[word]:,} {word}" for word in rows.index)
        return {"text/html": box(self._table()), "text/plain": text}

    def _table(self) -> str:
        whole = len(self._frame)
        words = (self._counts[name].astype(object) for name in ("status", "action", "reason"))
        rows = [
            (*(word if isinstance(word, str) else "" for word in row), count, summary.percent(count, whole))
            for *row, count in zip(*words, self._counts["rows"].tolist(), strict=True)
        ]
        run = self._prefix + "run"
        invented = run in self._frame and self._frame[run].dropna().astype(str).str.contains("sandbox-").any()
        mark = note(f"{charts.SANDBOX}." if invented else "")
        return mark + table(f"Outcome of {whole:,} rows", ["status", "action", "reason", "rows", "share"], rows)

    # ----------------------------------------------------------------- widgets

    def _build(self) -> Any:
        kit = toolkit()
        wide = {"description_width": "initial"}
        self._line = kit.HTML()
        self._measure = kit.ToggleButtons(options=[SHARES, COUNTS])
        self._times = kit.Dropdown(description="Times", options=self._time_columns(), style=wide)
        self._groups = kit.Dropdown(description="Group by", options=self._group_columns(), style=wide)
        self._pages = {name: kit.HTML() for name in TABS}
        inside = {"Over time": [self._times], "By group": [self._groups]}
        self._tabs = kit.Tab([kit.VBox([*inside.get(name, ()), self._pages[name]]) for name in TABS])
        for number, name in enumerate(TABS):
            self._tabs.set_title(number, name)
        self._tabs.selected_index = 0
        self._file = kit.Text(description="File name", placeholder="figure.png", style=wide)
        self._save = kit.Button(description="Save figure")
        self._save.on_click(handler(self._press_save, self._line))
        show = handler(self._show, self._line)
        self._tabs.observe(show, "selected_index")
        for chooser in (self._measure, self._times, self._groups):
            chooser.observe(show, "value")
        self._show()
        return kit.VBox([self._measure, self._tabs, kit.HBox([self._file, self._save]), self._line])

    def _show(self) -> None:
        """Show the open tab, drawing what was not drawn before; a chart that cannot be drawn says why in its place."""
        name = self._tab()
        self._measure.disabled = name not in ("Over time", "By group")  # the other charts bear both already
        self._save.disabled = self._file.disabled = name == "Table"
        key = self._choice()
        if key not in self._drawn:
            self._drawn[key] = self._table() if name == "Table" else self._picture(name)
        self._pages[name].value = self._drawn[key]

    def _tab(self) -> str:
        return TABS[self._tabs.selected_index or 0]

    def _choice(self) -> tuple[object, ...]:
        """Return what the open tab shows: its name and the settings that it depends on."""
        name = self._tab()
        if name == "Over time":
            return name, self._times.value, self._measure.value
        return (name, self._groups.value, self._measure.value) if name == "By group" else (name,)

    # ----------------------------------------------------------------- charts

    def _picture(self, name: str) -> str:
        try:
            figure, ax = self._draw(name)
            data = io.BytesIO()
            figure.savefig(data, format="png", dpi=DPI)
        except Exception as error:
            return message(words(error))
        source = base64.b64encode(data.getvalue()).decode()
        alt = escape(_spoken(ax), quote=True)
        return f'<img style="max-width:100%" alt="{alt}" src="data:image/png;base64,{source}"/>'

    def _draw(self, name: str) -> tuple[Figure, Axes]:
        """Draw a tab's chart on a figure of its own, which pyplot does not know and so does not keep."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(7.5, 4.2), facecolor="white")
        figure.set_layout_engine("constrained", h_pad=0.1, w_pad=0.1)  # a margin, for a white box on a dark page
        ax = figure.subplots()
        ax.patch.set_visible(False)
        shares = self._measure.value == SHARES
        if name == "Over time":
            charts.timeline(self._frame, self._given(self._times, _NO_TIMES), ax, prefix=self._prefix, shares=shares)
        elif name == "By group":
            charts.by(self._frame, self._given(self._groups, _NO_GROUPS), ax, prefix=self._prefix, shares=shares)
        else:
            draw: Callable[..., Axes] = {"Status": charts.status, "Reasons": charts.reasons}.get(
                name, charts.redaction_delay
            )
            draw(self._frame, ax, prefix=self._prefix)
        if name in ("Status", "Reasons", "By group"):
            figure.set_size_inches(7.5, 1.4 + 0.36 * max(len(ax.get_yticks()), 2))  # as high as the bars need
        return figure, ax

    def _given(self, chooser: Any, otherwise: str) -> Hashable:
        if chooser.value is None:
            raise InputError(otherwise)
        return self._frame.columns[chooser.value]  # type: ignore[no-any-return]

    def _press_save(self) -> None:
        name = self._file.value.strip()
        path = Path(name).expanduser()
        kind = path.suffix.lower().removeprefix(".")
        if kind not in FORMATS:
            raise InputError("Name a file that ends in .png, .svg or .pdf.")
        data = io.BytesIO()
        self._draw(self._tab())[0].savefig(data, format=kind, dpi=300)
        try:
            with path.open("xb") as file:
                file.write(data.getvalue())
        except FileExistsError:
            raise InputError(f"{name} exists already and was left as it is. Choose another name.") from None
        except OSError as error:
            raise InputError(f"{name} cannot be written ({error.strerror}). Choose another name.") from None
        self._line.value = message(f"Saved {name}")

    # ----------------------------------------------------------------- columns to choose from

    def _own_columns(self) -> list[tuple[int, Any]]:
        """Return position and column of everything but the verdicts; names may be anything, also double."""
        taken = {self._prefix + name for name in VERDICT_COLUMNS}
        names = self._frame.columns
        first = [name[0] if isinstance(name, tuple) else name for name in names]
        single = ~names.duplicated(keep=False)
        return [(n, self._frame.iloc[:, n]) for n in range(len(names)) if single[n] and first[n] not in taken]

    def _time_columns(self) -> list[tuple[str, int]]:
        """Return the columns of times and of post IDs, the wanted one first."""
        found = [(n, column) for n, column in self._own_columns() if column.name == self._column or self._tells(column)]
        found.sort(key=lambda pair: pair[1].name != self._column)
        return [(plain(str(column.name)), n) for n, column in found]

    def _tells(self, column: pd.Series) -> bool:
        if _holds_ids(column):
            return not ids.names_users(column.name)
        return is_datetime64_any_dtype(column) or _reads_as_time(column)

    def _group_columns(self) -> list[tuple[str, int]]:
        """Return the columns with few values. IDs are none: a picture of them would be saved in the notebook."""
        return [(plain(str(column.name)), n) for n, column in self._own_columns() if _makes_groups(column)]


_NO_TIMES = "The frame has no column of times or post IDs. Name one: xc.SummaryPanel(checked, column=...)."
_NO_GROUPS = f"The frame has no column with 2 to {GROUPS_MAX} different values to group by."


def _spoken(ax: Axes) -> str:
    """Return a chart in words, for who cannot see it: its title, then each bar's name and number, or its notes."""
    names = [label.get_text() for label in ax.get_yticklabels()]
    texts = [text.get_text() for text in ax.texts]
    bars = [f"{name}: {text}" for name, text in zip(names, texts, strict=False)] if ax.containers else []
    return plain(". ".join([ax.get_title(loc="left"), *bars, *reversed(texts[len(bars) :])]), 1000)


def _sampled(column: pd.Series) -> pd.Series:
    return column.dropna().head(SAMPLE)


def _holds_ids(column: pd.Series) -> bool:
    """Whether most values are IDs as posts have them: with so many digits that they are hardly anything else."""
    some = _sampled(column)
    kind = getattr(column.dtype, "kind", "O")
    if kind in "iuf":
        return len(some) > 0 and bool((some > ids.FIRST_SNOWFLAKE).mean() > 0.5)
    if kind != "O" and not isinstance(column.dtype, pd.StringDtype):
        return False
    try:
        found = ids.parse(some, column.name)
    except InputError:  # numbers that lost digits: they were IDs
        return True
    return 2 * int((found.values[found.valid] >= ids.FIRST_SNOWFLAKE).sum()) > len(some)


def _reads_as_time(column: pd.Series) -> bool:
    if getattr(column.dtype, "kind", "O") not in "OU" and not isinstance(column.dtype, pd.StringDtype):
        return False
    some = _sampled(column)
    text = some[[isinstance(value, str) for value in some]]
    return bool(2 * pd.to_datetime(text, utc=True, format="ISO8601", errors="coerce").notna().sum() > len(some))


def _makes_groups(column: pd.Series) -> bool:
    """Whether a column has few different values, and those are no IDs and no times."""
    try:
        few = _sampled(column).nunique() <= GROUPS_MAX and 2 <= column.nunique() <= GROUPS_MAX
    except TypeError:  # lists and the like
        return False
    return few and not (is_datetime64_any_dtype(column) or _is_called_id(column) or _holds_ids(column))


def _is_called_id(column: pd.Series) -> bool:
    """Whether a column is called an ID and holds numbers: those of old accounts are short."""
    name = str(column.name).lower()
    return name.endswith("id") and bool(_sampled(column).astype(str).str.fullmatch(r"[0-9.]+").any())
