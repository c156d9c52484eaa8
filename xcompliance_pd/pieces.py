"""The verbs on a Parquet file of any size: it passes through memory in pieces, once for the IDs, once for the verdicts.

What is in memory at a time is one piece of the file, what the run needs of it, and one batch. Charts and report need
all rows at once; for them, and only if asked, a few bytes of each row are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from . import asking, frames, summary, verdicts
from . import ids as id_rules
from .asking import PREFIX
from .cleaning import Plan
from .client import Client
from .errors import InputError
from .ids import IdColumn, Part
from .lifecycle import Snapshot
from .outcome import Source
from .run import Run
from .tables import files
from .widgets.live import Display

if TYPE_CHECKING:
    from .tables.parquet import Parquet

_NO_IDS = IdColumn(np.empty(0, np.int64), np.empty(0, np.uint8))


@dataclass(frozen=True)
class Wanted:
    """What to make of a file besides its summary.

    Attributes
    ----------
    output : str or None
        Where to write its rows with their verdicts, as Parquet.
    excel_safe : bool
        Disarm text that a spreadsheet would run.
    keep : sequence of str
        Verdict columns, and ``id``, to be returned for all rows: from 1 to 8 bytes a row each.
    """

    output: str | None = None
    excel_safe: bool = False
    keep: Sequence[str] = ()


@dataclass(frozen=True)
class Outcome:
    """What came of a file.

    Attributes
    ----------
    counts : DataFrame
        As :func:`xcompliance_pd.summary.summary` gives it.
    rows : int
    named : bool
        Whether any row names the run.
    unproved : bool
        Whether a row that holds an ID, or something in its place, is unchecked.
    run : Run or None
        None if nothing was sent.
    frame : DataFrame
        The columns to be kept, those of verdicts under their names for users.
    notes : tuple of str
        What to tell about the written file.
    others : tuple of Run
        Further runs that the rows name.
    """

    counts: pd.DataFrame
    rows: int
    named: bool
    unproved: bool
    run: Run | None
    frame: pd.DataFrame
    notes: tuple[str, ...] = ()
    others: tuple[Run, ...] = ()


def check(
    file: Parquet,
    column: str,
    wanted: Wanted,
    *,
    type: str | None,
    client: Client,
    label: str | None,
    overwrite: bool,
    fresh: bool,
    max_age: str | timedelta | None = None,
) -> Outcome:
    """Check a file's column of IDs; options and errors as those of :func:`xcompliance_pd.check`."""
    display = Display.choose()
    frames.refuse_existing(file.head(), PREFIX, overwrite)
    run, source = _checked(file, column, display, type, client, label, fresh, max_age)
    if type is None:
        frames.warn_of_more(file.head().columns, column)
    return _joined(file, column, wanted, run, source, display, overwrite)


def join(file: Parquet, column: str, wanted: Wanted, run: Run, *, overwrite: bool, partial: bool) -> Outcome:
    """Put a run's verdicts beside a file's rows; options and errors as those of :func:`xcompliance_pd.join`."""
    display = Display.choose()
    asking.refuse_no_run(run)
    frames.refuse_existing(file.head(), PREFIX, overwrite)
    id_rules.parse(next(file.column(column)), column)  # before waiting for what would be of no use to it
    if not partial:
        asking.wait(run, None, display)
    return _joined(file, column, wanted, run, run.source(), display, overwrite)


def clean(
    file: Parquet,
    column: str | None,
    output: Path,
    plan: Callable[[pd.DataFrame], Plan],
    *,
    type: str | None,
    client: Client | None,
    run: Run | None,
    label: str | None,
    fresh: bool,
    max_age: str | timedelta | None,
) -> Run | None:
    """Write what plans leave of a file: by its verdict columns, or with `column` by those of a run.

    Parameters
    ----------
    file : Parquet
    column : str or None
        The IDs to check; None if the file has verdict columns.
    output : Path
    plan : callable
        Makes the plan of a piece.
    type, client, label, fresh, max_age
        As in :func:`xcompliance_pd.check`.
    run : Run or None
        Takes its verdicts instead of asking X; it is waited for.

    Returns
    -------
    Run or None
        Whose verdicts were taken; None if nothing was sent.
    """
    if column is None:
        with files.replacing(output) as raw:
            file.clean(raw, plan)
        return None
    display = Display.choose()
    if run is None:
        run, source = _checked(file, column, display, type, asking.client_of(client), label, fresh, max_age)
    else:
        asking.wait(run, None, display)
        source = run.source()
    snapshot = None if run is None else run.snapshot()
    if snapshot is not None:
        asking.warn_unproved(snapshot)
    tally = _Tally(file.rows, (), verdicts.join(_NO_IDS, []) if source is None else source.blank())
    try:
        with files.replacing(output) as raw:
            file.clean(raw, plan, _tables(file, column, source, tally))
    except (InputError, KeyboardInterrupt) as error:
        error.run_id = None if run is None else run.id  # type: ignore[union-attr]  # for the command line
        raise
    _warn_lost(source, snapshot, tally)
    if snapshot is not None:
        display.close(snapshot)
    return run


def _checked(
    file: Parquet,
    column: str,
    display: Display,
    type: str | None,
    client: Client,
    label: str | None,
    fresh: bool,
    max_age: str | timedelta | None,
) -> tuple[Run | None, Source | None]:
    """Send the IDs of a column and wait; return the run, if anything was sent, and where verdicts are, if any."""
    invalid = 0

    def parts() -> Iterator[Part]:
        nonlocal invalid
        for series in file.column(column):
            part = id_rules.survey(id_rules.parse(series, column), series, client.clock.now())
            invalid += part.invalid
            yield part

    call = f"df.compliance.problems({column!r})"
    options: dict[str, Any] = {"label": label, "on_invalid": "mark", "fresh": fresh, "max_age": max_age}
    run, reuse = asking.begin(parts, column, call, type=type, client=client, **options)
    if run is not None:
        asking.wait(run, None, display)
    elif not reuse and not invalid:  # they were named already
        asking.warn(asking.NOTHING_SENT.format(column))
    return run, asking.source_of(reuse) if run is None else run.source()


def _tables(file: Parquet, column: str, source: Source | None, tally: _Tally) -> Iterator[pd.DataFrame]:
    """Yield the verdict columns of each piece, which are counted."""
    for number, series in enumerate(file.column(column)):
        ids = id_rules.parse(series, column)
        table = verdicts.join(ids, []) if source is None else source.verdicts(ids, number)
        tally.add(ids, table)
        yield table.add_prefix(PREFIX)


def _joined(
    file: Parquet,
    column: str,
    wanted: Wanted,
    run: Run | None,
    source: Source | None,
    display: Display,
    overwrite: bool,
) -> Outcome:
    snapshot = None if run is None else run.snapshot()
    if snapshot is not None:
        asking.warn_unproved(snapshot)
    tally = _Tally(file.rows, wanted.keep, verdicts.join(_NO_IDS, []) if source is None else source.blank())
    tables = _tables(file, column, source, tally)
    try:
        if wanted.output is None:
            for _ in tables:
                pass
        else:
            with files.replacing(Path(wanted.output)) as output:
                without = frames.outdated(file.head(), PREFIX) if overwrite else ()
                file.write(output, tables, column, wanted.excel_safe, frozenset(map(str, without)))
    except (InputError, KeyboardInterrupt) as error:
        error.run_id = None if run is None else run.id  # type: ignore[union-attr]  # for the command line
        raise
    _warn_lost(source, snapshot, tally)
    if snapshot is not None:
        display.close(replace(snapshot, stage="joined") if snapshot.state == "done" else snapshot)
    return Outcome(tally.counts, file.rows, tally.named, tally.unproved, run, tally.frame(column))


def _warn_lost(source: Source | None, snapshot: Snapshot | None, tally: _Tally) -> None:
    if source is not None and source.reused and (snapshot is None or snapshot.state == "done"):
        asking.warn_lost(tally.unheard - (0 if snapshot is None else snapshot.unproved))


class _Tally:
    """What is known of the rows seen so far."""

    def __init__(self, rows: int, keep: Sequence[str], nothing: pd.DataFrame) -> None:
        self.counts = summary.summary(nothing, "")
        self.named = self.unproved = False
        self.unheard = 0  # rows with an ID of which nothing is known
        self._nothing = nothing
        self._keep = keep
        self._rows = rows
        self._seen = 0
        self._kept: dict[str, NDArray[Any]] = {}

    def add(self, ids: IdColumn, table: pd.DataFrame) -> None:
        """Count the verdicts of one piece, which have the categories that all pieces have."""
        self.counts = summary.whole(pd.concat([self.counts, summary.summary(table, "")]))
        self.named |= bool(table["run"].notna().any())
        self.unproved |= bool(((table["status"] == "unchecked").to_numpy() & ~ids.missing).any())
        self.unheard += asking.unproved(ids, table)
        end = self._seen + len(table)
        for name in self._keep:
            values = ids.values if name == "id" else _plain(table[name])
            kept = self._kept.setdefault(name, np.empty(self._rows, values.dtype))
            kept[self._seen : end] = values
        self._seen = end

    def frame(self, column: str) -> pd.DataFrame:
        """Return the columns to be kept. A row without an ID has the number 0, which is none either."""
        columns: dict[str, Any] = {}
        for name, values in self._kept.items():
            if name == "id":
                columns[column] = values
            elif isinstance(dtype := self._nothing[name].dtype, pd.CategoricalDtype):
                columns[PREFIX + name] = pd.Categorical.from_codes(values, dtype=dtype)
            else:
                columns[PREFIX + name] = pd.DatetimeIndex(values, copy=False).tz_localize("UTC")
        return pd.DataFrame(columns, copy=False)


def _plain(column: pd.Series) -> NDArray[Any]:
    if isinstance(column.dtype, pd.CategoricalDtype):
        return column.cat.codes.to_numpy()
    return column.to_numpy(dtype="datetime64[us]")
