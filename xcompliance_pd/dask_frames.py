"""``ddf.compliance``: the same verbs on Dask frames. Importing this module registers it.

Everything that speaks to X happens once, here, when `check` or `submit` is called; Dask calls the functions of its
graph as often as it likes, on whatever machine, so they only read the run's folder, and no graph holds a token.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import dask.dataframe as dd
import numpy as np
import pandas as pd
from dask.dataframe.extensions import register_dataframe_accessor

from . import asking, frames, summary, verdicts
from . import ids as id_rules
from .asking import PREFIX, Begun
from .errors import InputError
from .ids import IdColumn, Part
from .outcome import Source
from .questions import select
from .widgets.live import Display

if TYPE_CHECKING:
    from datetime import timedelta

    from .client import Client
    from .run import Run

_NO_IDS = IdColumn(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.uint8))


class DaskFrameAccessor:
    """Compliance of the posts or users in a Dask DataFrame.

    Examples
    --------
    >>> import dask.dataframe as dd, pandas as pd, xcompliance_pd as xc
    >>> import xcompliance_pd.dask_frames
    >>> posts = pd.DataFrame({"id": ["1212092628029698048", "1212092628029698049"]})
    >>> posts = dd.from_pandas(posts, npartitions=2)
    >>> lines = ['{"id":"1212092628029698048","action":"delete","reason":"suspended"}']
    >>> with xc.Sandbox(findings=lines) as box:
    ...     checked = posts.compliance.check("id", client=box.client)
    >>> checked["compliance_status"].compute().tolist()  # reads the ledger; asks nobody
    ['action_required', 'compliant']
    """

    def __init__(self, data: dd.DataFrame) -> None:
        self._data = data

    def __getattr__(self, name: str) -> Any:
        # Only asked for what is not here.
        if not name.startswith("_") and hasattr(getattr(pd.DataFrame, "compliance", None), name):
            raise AttributeError(
                f"A Dask frame has no compliance.{name}, which needs all rows in memory. Compute the columns that it "
                f"needs, or a sample: ddf[[...]].compute().compliance.{name}, ddf.sample(frac=0.01).compute()..."
            )
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def check(
        self,
        column: Hashable,
        *,
        type: str | None = None,
        client: Client | None = None,
        label: str | None = None,
        on_invalid: str = "mark",
        overwrite: bool = False,
        prefix: str = PREFIX,
        timeout: float | None = None,
        fresh: bool = False,
        max_age: str | timedelta | None = None,
    ) -> dd.DataFrame:
        """Check a column of IDs and return a lazy frame with the verdicts.

        The ID column is computed now, partition by partition, and this call waits until X has answered. The verdicts
        are put on the rows of each partition whenever it is computed, from the ledger's folder, which every worker
        must see. Parameters and errors are those of :func:`xcompliance_pd.check`.

        Returns
        -------
        dask.dataframe.DataFrame
            With the same partitions, divisions, index and columns, and the verdict columns.
        """
        display = Display.choose()
        frames.refuse_existing(self._data._meta, prefix, overwrite)
        surveyed: list[Part] = []
        run, reuse = self._begin(column, type, client, label, on_invalid, fresh, max_age, surveyed)
        self._warn_of_more(column, type)
        if run is None:
            if not reuse and not any(part.invalid for part in surveyed):  # they were named already
                asking.warn(asking.NOTHING_SENT.format(column))
            return self._with(column, asking.source_of(reuse), prefix, overwrite)
        asking.wait(run, timeout, display)
        return self._joined(column, run, prefix, overwrite, display)

    def submit(
        self,
        column: Hashable,
        *,
        type: str | None = None,
        client: Client | None = None,
        label: str | None = None,
        on_invalid: str = "mark",
        fresh: bool = False,
        max_age: str | timedelta | None = None,
    ) -> Run:
        """Compute the ID column, start a check in the background and return its `Run`; see `check`."""
        run, reuse = self._begin(column, type, client, label, on_invalid, fresh, max_age, [])
        self._warn_of_more(column, type)
        if run is None:
            raise InputError((asking.ALL_FRESH if reuse else asking.NOTHING_TO_SUBMIT).format(column))
        return run.start()

    def join(
        self,
        column: Hashable,
        run: Run,
        *,
        overwrite: bool = False,
        prefix: str = PREFIX,
        timeout: float | None = None,
        partial: bool = False,
    ) -> dd.DataFrame:
        """Wait for a run, made from whatever frame, and return a lazy frame with its verdicts; see `check`.

        With ``partial=True`` the batches that have ended by now speak, also when more have ended before the frame is
        computed.
        """
        asking.refuse_no_run(run)
        frames.refuse_existing(self._data._meta, prefix, overwrite)
        _parse(self._data._meta, column)
        display = Display.choose()
        if not partial:
            asking.wait(run, timeout, display)
        return self._joined(column, run, prefix, overwrite, display)

    def problems(self, column: Hashable) -> dd.DataFrame:
        """List, lazily, the rows whose value is no ID: `value`, `problem`, `advice`, `row` within the partition."""
        _parse(self._data._meta, column)
        return self._data[[column]].map_partitions(_problems, column, meta=_problems(self._data._meta, column))

    def created_at(self, column: Hashable) -> dd.Series:
        """Return, lazily, when posts were made, read from their IDs; see :func:`xcompliance_pd.ids.created_at`.

        A column whose name speaks of users is refused. Its values are not looked at: those of an account mean nothing.
        """
        _parse(self._data._meta, column)
        id_rules.refuse_times_of_users(column)
        return self._data[[column]].map_partitions(_created_at, column, meta=_created_at(self._data._meta, column))

    def summary(self, *, prefix: str = PREFIX) -> pd.DataFrame:
        """Compute the counts of rows by status, action and reason; see :func:`xcompliance_pd.summary.summary`."""
        names = [prefix + name for name in ("status", "action", "reason")]
        summary.summary(self._data._meta, prefix)  # tells at once what is missing
        parts = self._data[names].map_partitions(_summary, prefix, meta=_summary(self._data._meta, prefix))
        return summary.whole(parts.compute())

    def flagged(self, *, prefix: str = PREFIX) -> dd.DataFrame:
        """Return the rows that need action."""
        return self._rows("action_required", prefix)

    def compliant(self, *, prefix: str = PREFIX) -> dd.DataFrame:
        """Return the rows that were proved compliant; unchecked and invalid rows are not among them."""
        return self._rows("compliant", prefix)

    # ----------------------------------------------------------------- steps

    def _warn_of_more(self, column: Hashable, type: str | None) -> None:
        if type is None:
            frames.warn_of_more(self._data.columns, column)

    def _rows(self, status: str, prefix: str) -> dd.DataFrame:
        meta = frames.rows(self._data._meta, status, prefix)
        return self._data.map_partitions(frames.rows, status, prefix, meta=meta)

    def _begin(
        self,
        column: Hashable,
        type: str | None,
        client: Client | None,
        label: str | None,
        on_invalid: str,
        fresh: bool,
        max_age: str | timedelta | None,
        surveyed: list[Part],
    ) -> Begun:
        _parse(self._data._meta, column)
        client = asking.client_of(client)
        return asking.begin(
            partial(_surveys, self._data, column, client.clock.now(), surveyed),
            column,
            f"ddf.compliance.problems({column!r}).compute()",
            type=type,
            client=client,
            label=label,
            on_invalid=on_invalid,
            fresh=fresh,
            max_age=max_age,
        )

    def _joined(self, column: Hashable, run: Run, prefix: str, overwrite: bool, display: Display) -> dd.DataFrame:
        snapshot = run.snapshot()
        asking.warn_unproved(snapshot)
        source = run.source()
        display.close(snapshot)
        return self._with(column, source, prefix, overwrite)

    def _with(self, column: Hashable, source: Source | None, prefix: str, overwrite: bool) -> dd.DataFrame:
        if source is not None and source.lost:
            asking.warn(
                f"{len(source.lost):,} batches of earlier runs, which are reused, are gone or were changed: rows of "
                "theirs stay unchecked. Run check with max_age= again, and they are sent."
            )
        blank = verdicts.join(_NO_IDS, []) if source is None else source.blank()
        data = self._data
        if overwrite:
            data = data.drop(columns=frames.outdated(data._meta, prefix))
        meta = frames.attach(data._meta.copy(), blank, prefix)
        return data.map_partitions(_with_verdicts, column, prefix, source, meta=meta)


# --------------------------------------------------------------------------- what is called on each partition


def _parse(part: pd.DataFrame, column: Hashable) -> IdColumn:
    return id_rules.parse(select(part, column), column)


def _surveys(data: dd.DataFrame, column: Hashable, now: float, surveyed: list[Part]) -> Iterator[Part]:
    """Yield what a run needs of each partition, computed when it is asked for; `surveyed` keeps all but the IDs."""
    ids = data[[column]]
    for number in range(data.npartitions):
        # By itself: a partition of the whole column's optimized graph may be several of these.
        one = ids.partitions[number].map_partitions(_survey, column, now, meta=pd.Series(dtype=object))
        try:
            (part,) = one.compute()
        except InputError as error:
            raise InputError(f"In partition {number}: {error}") from None
        part = replace(part, examples=tuple(f"partition {number}, {example}" for example in part.examples))
        surveyed.append(replace(part, ids=asking.NO_IDS))
        yield part


def _survey(part: pd.DataFrame, column: Hashable, now: float) -> pd.Series:
    series = select(part, column)
    return pd.Series([id_rules.survey(id_rules.parse(series, column), series, now)], dtype=object)


def _with_verdicts(
    part: pd.DataFrame,
    column: Hashable,
    prefix: str,
    source: Source | None,
    partition_info: dict[str, Any] | None = None,
) -> pd.DataFrame:
    """Put the verdicts on the rows of a partition.

    Dask's number of the partition is where to look first, no more: it counts anew after ``ddf.partitions[...]``, and
    when it reads several Parquet files as one.
    """
    ids = _parse(part, column)
    number = None if partition_info is None else partition_info["number"]
    table = verdicts.join(ids, []) if source is None else source.verdicts(ids, number)
    return frames.attach(part.copy(deep=False), table, prefix)


def _problems(part: pd.DataFrame, column: Hashable) -> pd.DataFrame:
    some = frames.problems(pd.Series(["x"]))  # a table without rows would have other types
    return frames.problems(part, column).astype(some.dtypes)


def _created_at(part: pd.DataFrame, column: Hashable) -> pd.Series:
    times = id_rules.created_at(_parse(part, column).values)
    created: pd.Series = pd.Series(times, index=part.index, name="created_at").dt.tz_localize("UTC")
    return created


def _summary(part: pd.DataFrame, prefix: str) -> pd.DataFrame:
    table = summary.summary(part, prefix)
    return table.astype(dict.fromkeys(("status", "action", "reason"), object))


def register() -> None:
    """Register the accessor with Dask, once."""
    if getattr(dd.DataFrame, "compliance", None) is not DaskFrameAccessor:
        register_dataframe_accessor("compliance")(DaskFrameAccessor)


register()
