"""``df.compliance`` and ``series.compliance``: names, signatures, one delegation each.

No state: pandas 3 builds the accessor anew at every access, and Tab completion builds it too, so ``__init__`` only
keeps the reference. What a method needs is imported when it is called, which keeps ``import xcompliance_pd`` light.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    import os
    from datetime import timedelta

    import numpy as np
    from matplotlib.axes import Axes

    from .client import Client
    from .questions import Column, References
    from .run import Run
    from .saved import SavedResults


class _Accessor:
    def __init__(self, data: Any) -> None:
        self._data = data


class FrameAccessor(_Accessor):
    """Compliance of the posts or users in a DataFrame.

    Examples
    --------
    >>> import pandas as pd, xcompliance_pd as xc
    >>> posts = pd.DataFrame({"id": ["1212092628029698048", "1212092628029698049"]})
    >>> lines = ['{"id":"1212092628029698048","action":"delete","reason":"suspended"}']
    >>> with xc.Sandbox(findings=lines) as box:
    ...     checked = posts.compliance.check("id", client=box.client)
    >>> checked.compliance.flagged()["compliance_reason"].tolist()
    ['suspended']
    >>> len(checked.compliance.compliant())
    1
    >>> checked.compliance.summary().query("rows > 0")[["status", "reason", "rows"]].values.tolist()
    [['compliant', nan, 1], ['action_required', 'suspended', 1]]
    """

    def check(
        self,
        column: Column,
        *,
        type: str | None = None,
        references: References = (),
        client: Client | None = None,
        label: str | None = None,
        on_invalid: str = "mark",
        overwrite: bool = False,
        prefix: str = "compliance_",
        timeout: float | None = None,
        fresh: bool = False,
        max_age: str | timedelta | None = None,
    ) -> pd.DataFrame:
        """Check a column of IDs and return a new frame with the verdicts; see :func:`xcompliance_pd.check`."""
        from . import frames

        return frames.check(
            self._data,
            column,
            type=type,
            references=references,
            client=client,
            label=label,
            on_invalid=on_invalid,
            overwrite=overwrite,
            prefix=prefix,
            timeout=timeout,
            fresh=fresh,
            max_age=max_age,
        )

    def submit(
        self,
        column: Column,
        *,
        type: str | None = None,
        references: References = (),
        client: Client | None = None,
        label: str | None = None,
        on_invalid: str = "mark",
        fresh: bool = False,
        max_age: str | timedelta | None = None,
    ) -> Any:
        """Start a check in the background, return its `Run` or a dict of them; see :func:`xcompliance_pd.submit`."""
        from . import frames

        return frames.submit(
            self._data,
            column,
            type=type,
            references=references,
            client=client,
            label=label,
            on_invalid=on_invalid,
            fresh=fresh,
            max_age=max_age,
        )

    def join(
        self,
        column: Hashable | Mapping[Any, Run],
        run: Run | SavedResults | None = None,
        *,
        references: References = (),
        overwrite: bool = False,
        prefix: str = "compliance_",
        timeout: float | None = None,
        partial: bool = False,
        sent: Any = None,
    ) -> pd.DataFrame:
        """Put the verdicts of a run, or of a saved result file, on the rows; see :func:`xcompliance_pd.join`."""
        from . import frames

        return frames.join(
            self._data,
            column,
            run,
            references=references,
            overwrite=overwrite,
            prefix=prefix,
            timeout=timeout,
            partial=partial,
            sent=sent,
        )

    def stale(
        self, column: Hashable, max_age: str | timedelta, *, type: str | None = None, client: Client | None = None
    ) -> pd.Series:
        """Tell which rows a check with this `max_age` would send; see :func:`xcompliance_pd.stale`."""
        from . import frames

        return frames.stale(self._data, column, max_age, type=type, client=client)

    def diff(self, column: Hashable, before: pd.DataFrame, *, prefix: str = "compliance_") -> pd.DataFrame:
        """List what changed since an earlier check of the same dataset; see :func:`xcompliance_pd.diff`."""
        from . import differences

        return differences.diff(before, self._data, column, prefix=prefix)

    def problems(self, column: Hashable) -> pd.DataFrame:
        """List the rows whose value is no ID, with what is wrong; no request is made."""
        from . import frames

        return frames.problems(self._data, column)

    def summary(self, *, prefix: str = "compliance_") -> pd.DataFrame:
        """Count a checked frame's rows by status, action and reason; see :func:`xcompliance_pd.summary.summary`."""
        from . import summary

        return summary.summary(self._data, prefix)

    def sentence(self, *, prefix: str = "compliance_") -> str:
        """Say the outcome in one sentence for a paper's methods; see :func:`xcompliance_pd.summary.sentence`."""
        from . import summary

        return summary.sentence(self._data, prefix)

    def report(
        self,
        path: str | os.PathLike[str],
        run: Run | Iterable[Run] | Mapping[Any, Run] | None = None,
        *,
        column: Hashable | None = None,
        prefix: str = "compliance_",
        overwrite: bool = False,
    ) -> None:
        """Write a self-contained HTML page for a reviewer; see :func:`xcompliance_pd.report.write`."""
        from . import report

        report.write(self._data, path, run, column=column, prefix=prefix, overwrite=overwrite)

    def flagged(self, *, prefix: str = "compliance_") -> pd.DataFrame:
        """Return the rows that need action."""
        from . import frames

        return frames.rows(self._data, "action_required", prefix)

    def compliant(self, *, prefix: str = "compliance_") -> pd.DataFrame:
        """Return the compliant rows; unchecked and invalid rows are not among them.

        A row that retweets a post that is gone may be among them; `apply` drops it. They were proved compliant, unless
        the column `run` names a saved file or an attached job: then that rests on the word of whoever gave it.
        """
        from . import frames

        return frames.rows(self._data, "compliant", prefix)

    def apply(
        self,
        *,
        mode: str = "drop",
        keep: Hashable | Iterable[Hashable] = (),
        geo: Hashable | Iterable[Hashable] | None = None,
        unchecked: str = "keep",
        invalid: str = "keep",
        unknown: str = "keep",
        references: Iterable[str] = ("retweeted",),
        prefix: str = "compliance_",
        client: Client | None = None,
    ) -> pd.DataFrame:
        """Return a clean frame: deleted rows gone, geo data blanked; see :func:`xcompliance_pd.cleaning.plan`.

        Rows that are not proved compliant and stay are counted in one warning. What was done is put on record for the
        runs that the rows name, in the ledger of `client` or else that of ``xc.runs()``;
        :meth:`xcompliance_pd.Run.applied` lists it.
        """
        from . import applying, cleaning

        plan = cleaning.plan(
            self._data,
            mode=mode,
            keep=keep,
            geo=geo,
            unchecked=unchecked,
            invalid=invalid,
            unknown=unknown,
            references=references,
            prefix=prefix,
        )
        choices = {"unchecked": unchecked, "invalid": invalid, "unknown": unknown}
        choices["references"] = ", ".join(plan.references)
        return applying.apply(self._data, plan, choices, client)

    def changes(
        self,
        *,
        mode: str = "drop",
        keep: Hashable | Iterable[Hashable] = (),
        geo: Hashable | Iterable[Hashable] | None = None,
        unchecked: str = "keep",
        invalid: str = "keep",
        unknown: str = "keep",
        references: Iterable[str] = ("retweeted",),
        prefix: str = "compliance_",
    ) -> pd.DataFrame:
        """List what `apply` with the same arguments does to which row; see :func:`xcompliance_pd.cleaning.changes`."""
        from . import cleaning

        plan = cleaning.plan(
            self._data,
            mode=mode,
            keep=keep,
            geo=geo,
            unchecked=unchecked,
            invalid=invalid,
            unknown=unknown,
            references=references,
            prefix=prefix,
        )
        return cleaning.changes(self._data, plan)

    @property
    def plot(self) -> Plots:
        """Charts of a checked frame: ``plot.reasons()``, ``plot.status()``, ``plot.timeline("id")`` and others."""
        return Plots(self._data)


class SeriesAccessor(_Accessor):
    """Compliance of a Series of IDs; `check` and `join` return a frame of verdict columns on the same index.

    Examples
    --------
    >>> import pandas as pd, xcompliance_pd as xc
    >>> with xc.Sandbox(findings=[]) as box:
    ...     pd.Series(["1212092628029698048"], name="id").compliance.check(client=box.client).columns[:2].tolist()
    ['compliance_status', 'compliance_action']
    """

    def check(
        self,
        *,
        type: str | None = None,
        client: Client | None = None,
        label: str | None = None,
        on_invalid: str = "mark",
        prefix: str = "compliance_",
        timeout: float | None = None,
        fresh: bool = False,
        max_age: str | timedelta | None = None,
    ) -> pd.DataFrame:
        """Check the IDs and return the verdict columns; see :func:`xcompliance_pd.check`."""
        from . import frames

        return frames.check(
            self._data,
            type=type,
            client=client,
            label=label,
            on_invalid=on_invalid,
            prefix=prefix,
            timeout=timeout,
            fresh=fresh,
            max_age=max_age,
        )

    def submit(
        self,
        *,
        type: str | None = None,
        client: Client | None = None,
        label: str | None = None,
        on_invalid: str = "mark",
        fresh: bool = False,
        max_age: str | timedelta | None = None,
    ) -> Run:
        """Start a check in the background and return its `Run`; see :func:`xcompliance_pd.submit`."""
        from . import frames

        return frames.submit(
            self._data, type=type, client=client, label=label, on_invalid=on_invalid, fresh=fresh, max_age=max_age
        )

    def join(
        self,
        run: Run | SavedResults,
        *,
        prefix: str = "compliance_",
        timeout: float | None = None,
        partial: bool = False,
        sent: Any = None,
    ) -> pd.DataFrame:
        """Return the verdicts of a run, or of a saved result file, for these IDs; see :func:`xcompliance_pd.join`."""
        from . import frames

        return frames.join(self._data, None, run, prefix=prefix, timeout=timeout, partial=partial, sent=sent)

    def stale(self, max_age: str | timedelta, *, type: str | None = None, client: Client | None = None) -> pd.Series:
        """Tell which IDs a check with this `max_age` would send; see :func:`xcompliance_pd.stale`."""
        from . import frames

        return frames.stale(self._data, None, max_age, type=type, client=client)

    def problems(self) -> pd.DataFrame:
        """List the values that are no IDs, with what is wrong; no request is made."""
        from . import frames

        return frames.problems(self._data)

    def created_at(self) -> pd.Series:
        """Return when posts were made, read from their IDs; see :func:`xcompliance_pd.ids.created_at`."""
        from . import frames

        return frames.created_at(self._data)


class Plots(_Accessor):
    """Charts of a checked frame. Each takes ``ax=None`` and returns the matplotlib Axes."""

    def reasons(self, ax: Axes | None = None, *, prefix: str = "compliance_", **kwargs: Any) -> Axes:
        """Draw the rows that need action, by reason; see :func:`xcompliance_pd.charts.reasons`."""
        from . import charts

        return charts.reasons(self._data, ax, prefix=prefix, **kwargs)

    def status(self, ax: Axes | None = None, *, prefix: str = "compliance_", **kwargs: Any) -> Axes:
        """Draw all rows, by status; see :func:`xcompliance_pd.charts.status`."""
        from . import charts

        return charts.status(self._data, ax, prefix=prefix, **kwargs)

    def timeline(
        self, column: Hashable, ax: Axes | None = None, *, prefix: str = "compliance_", shares: bool = True
    ) -> Axes:
        """Draw what was lost by the month of posting; see :func:`xcompliance_pd.charts.timeline`."""
        from . import charts

        return charts.timeline(self._data, column, ax, prefix=prefix, shares=shares)

    def redaction_delay(self, ax: Axes | None = None, *, prefix: str = "compliance_", **kwargs: Any) -> Axes:
        """Draw how long posts stood before they went; see :func:`xcompliance_pd.charts.redaction_delay`."""
        from . import charts

        return charts.redaction_delay(self._data, ax, prefix=prefix, **kwargs)

    def by(self, column: Hashable, ax: Axes | None = None, *, prefix: str = "compliance_", shares: bool = True) -> Axes:
        """Draw what was lost in each group; see :func:`xcompliance_pd.charts.by`."""
        from . import charts

        return charts.by(self._data, column, ax, prefix=prefix, shares=shares)

    def diff(
        self, column: Hashable, before: pd.DataFrame, ax: Axes | None = None, *, prefix: str = "compliance_"
    ) -> Axes:
        """Draw what changed since an earlier check of the same dataset; see :func:`xcompliance_pd.charts.diff`."""
        from . import charts

        return charts.diff(before, self._data, column, ax, prefix=prefix)

    def overview(self, column: Hashable | None = None, *, prefix: str = "compliance_") -> np.ndarray[Any, Any]:
        """Draw four charts as one figure fit for a paper; see :func:`xcompliance_pd.charts.overview`."""
        from . import charts

        return charts.overview(self._data, column, prefix=prefix)


def register() -> None:
    """Register both accessors with pandas, once."""
    for register_accessor, holder, accessor in (
        (pd.api.extensions.register_dataframe_accessor, pd.DataFrame, FrameAccessor),
        (pd.api.extensions.register_series_accessor, pd.Series, SeriesAccessor),
    ):
        if getattr(holder, "compliance", None) is not accessor:
            register_accessor("compliance")(accessor)
