"""What to do to the rows of a checked frame: frame -> plan, and plan -> clean frame or table of changes.

The verdict columns alone decide, so this works on a frame that was saved and reloaded. The clean frame and the table
come from one plan and cannot differ. X asks those who store its content to delete or modify it as it is deleted or
modified on X, "as soon as reasonably possible": https://docs.x.com/developer-terms/policy, "Content compliance".
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from . import geo as geo_rules
from .combined import CAUSE, KINDS, REFERENCES, part_names, refers_to
from .errors import InputError
from .results import severity
from .summary import columns, plain
from .verdicts import VERDICT_COLUMNS

Mask = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.signedinteger[Any]]

MODES = ("drop", "redact", "mark")
CHANGES = (
    "kept",
    "dropped",
    "redacted",
    "geo blanked",
    "kept: no geo found",
    "kept: to rehydrate",
    "kept: unchecked",
    "kept: invalid",
    "kept: unknown action",
)
KEPT, DROPPED, REDACTED, GEO_BLANKED, NO_GEO, REHYDRATE, UNCHECKED, INVALID, UNKNOWN = range(len(CHANGES))
MARK = "change"  # the column of mode="mark", after the prefix

_ASKED = np.array([DROPPED, GEO_BLANKED, REHYDRATE, UNKNOWN])  # by severity

# The rows that the options of these names are for.
OPEN = {"unchecked": UNCHECKED, "invalid": INVALID, "unknown": UNKNOWN}


@dataclass(frozen=True, slots=True, repr=False)
class Plan:
    """What `apply` does to each row, settled before anything is done.

    Attributes
    ----------
    mode, prefix : str
        As given to :func:`plan`.
    change : ndarray of int8
        For each row, which of ``CHANGES``.
    verdicts : DataFrame
        `status`, `action` and `reason` as categories.
    blank : dict
        Column position -> which rows lose their cell.
    rewritten : dict
        Column position -> (row positions, new cells), where a cell is a record and loses its geo objects only.
    unreadable : dict
        Column name -> how many cells seem to hold geo data and could not be read.
    geo_expected : bool
        Whether it needs to be said if there was no geo data to blank.
    references : tuple of str
        Ways to refer to a deleted post for which a row goes with it.
    half_proved : ndarray of bool
        Rows that stay and need something else, while of their post or of their author nothing was proved.
    """

    mode: str
    prefix: str
    change: npt.NDArray[np.int8]
    verdicts: pd.DataFrame
    blank: dict[int, Mask]
    rewritten: dict[int, tuple[Rows, list[Any]]]
    unreadable: dict[str, int]
    geo_expected: bool
    references: tuple[str, ...]
    half_proved: Mask

    def counts(self) -> dict[str, int]:
        """Return how many rows there are for each change that occurs; all rows are counted once."""
        rows = np.bincount(self.change, minlength=len(CHANGES)).tolist()
        return {word: number for word, number in zip(CHANGES, rows, strict=True) if number}

    def __repr__(self) -> str:
        told = ", ".join(f"{number:,} {word}" for word, number in self.counts().items())
        return f"<Plan mode={self.mode!r}: {told or 'no rows'}>"

    @property
    def refer_unproved(self) -> Mask:
        """Rows that stay, and refer to posts of which nothing is proved."""
        if REFERENCES not in self.verdicts:
            return np.zeros(len(self.change), dtype=np.bool_)
        stay = ~np.isin(self.change, (DROPPED, REDACTED))
        return stay & refers_to(self.verdicts[REFERENCES], "unchecked", self.references)

    def doubts(self) -> dict[str, int]:
        """Return what beside rows of their own kinds stays and was not proved, in words, and how many rows."""
        told = {
            "told to change, while of their post or their author nothing is proved": self.half_proved,
            f"referring ({', '.join(self.references)}) to posts of which nothing is proved": self.refer_unproved,
        }
        return {what: int(np.count_nonzero(rows)) for what, rows in told.items() if rows.any()}

    def note(self) -> str:
        """Say what the clean frame still holds that was not proved compliant; nothing if all is well."""
        counts = np.bincount(self.change, minlength=len(CHANGES)).tolist()
        actions = self.verdicts["action"][self.change == UNKNOWN].astype(object).value_counts(dropna=False)
        unknown = ", ".join("none" if pd.isna(word) else repr(plain(str(word))) for word in actions.index[:5])
        told = {
            "unchecked, so nothing proves them compliant": counts[UNCHECKED],
            "invalid, so they hold no ID that could be checked": counts[INVALID],
            f"with an action that is not known ({unknown}), which was not applied": counts[UNKNOWN],
            "edited on X, to be fetched anew": counts[REHYDRATE],
            "told to lose their geo data, of which none was found (name the columns with geo=[...], or pass geo=[] "
            "if there is none)": counts[NO_GEO] if self.geo_expected else 0,
        }
        told |= self.doubts()
        parts = [f"{number:,} {what}" for what, number in told.items() if number]
        sentences = [f"Rows kept as they are: {'; '.join(parts)}."] if parts else []
        sentences += [
            f"{number:,} cells of column {name!r} seem to hold geo data, but are no JSON, and were left as they are. "
            f"geo=[{name!r}, ...] blanks them as a whole."
            for name, number in self.unreadable.items()
        ]
        if sentences:
            sentences.append("compliance.changes() lists what is done to which row.")
        return " ".join(sentences)


def plan(
    frame: pd.DataFrame,
    *,
    mode: str = "drop",
    keep: Hashable | Iterable[Hashable] = (),
    geo: Hashable | Iterable[Hashable] | None = None,
    unchecked: str = "keep",
    invalid: str = "keep",
    unknown: str = "keep",
    references: Iterable[str] = ("retweeted",),
    prefix: str = "compliance_",
) -> Plan:
    """Decide for each row of a checked frame what is to be done.

    Parameters
    ----------
    frame : DataFrame
        What ``check`` or ``join`` returned, or the same reloaded from a file.
    mode : {"drop", "redact", "mark"}
        What becomes of rows with the action ``delete``: they go, or keep only their verdict and the columns of
        `keep`. "mark" does nothing but add a column ``<prefix>change`` that says what "drop" would do.
    keep : label or list of labels
        Columns that redacted rows keep, for example the ID; only for ``mode="redact"``.
    geo : label or list of labels, optional
        The columns to blank where X asks for geo data to go (action or reason ``scrub_geo`` or ``geo_scrubbed``). By
        default those whose names say so, see :func:`xcompliance_pd.geo.is_name`. Cells that hold a whole post as a
        dict or as JSON lose their geo objects in any case.
    unchecked, invalid, unknown : {"keep", "drop", "raise"}
        What becomes of rows that nothing is known of, rows that hold no ID, and rows with an action that is not
        known. "drop" treats them as rows to delete; "raise" refuses.
    references : list of {"retweeted", "quoted", "replied_to"}
        Rows that refer to a deleted post in one of these ways are treated as rows to delete, whatever their own verdict
        is, if the check was told the columns of what they refer to (``check(..., references=...)``).
    prefix : str
        The prefix given to ``check`` or ``join``.

    Returns
    -------
    Plan

    Raises
    ------
    InputError
        An option or a column is not known, the frame has no verdicts, or there are rows that "raise" refuses.

    Notes
    -----
    Compliant rows are never touched. ``scrub_geo`` is one of X's reasons beside the action ``delete``
    (https://docs.x.com/x-api/compliance/batch-compliance/quickstart), but what was deleted is the place and not the
    post: such a row is never dropped.

    A stored retweet holds the post that it repeats, so it goes with it: "deleting all referenced Retweets" is X's own
    advice (https://developer.twitter.com/en/docs/twitter-api/v1/tweets/compliance/guides, "Handling Retweet Deletes").
    Quotes and replies are their authors' own posts, and stay.

    Examples
    --------
    >>> import pandas as pd
    >>> checked = pd.DataFrame(
    ...     {
    ...         "id": ["20", "21", "22"],
    ...         "lat": [48.4, 48.4, 48.4],
    ...         "compliance_status": ["compliant", "action_required", "action_required"],
    ...         "compliance_action": [None, "delete", "delete"],
    ...         "compliance_reason": [None, "suspended", "scrub_geo"],
    ...     }
    ... )
    >>> plan(checked)
    <Plan mode='drop': 1 kept, 1 dropped, 1 geo blanked>
    >>> cleaned(checked, plan(checked))[["id", "lat"]].values.tolist()
    [['20', 48.4], ['22', nan]]
    >>> changes(checked, plan(checked))[["row", "change", "reason", "columns"]].values.tolist()
    [[1, 'dropped', 'suspended', ''], [2, 'geo blanked', 'scrub_geo', 'lat']]
    """
    refuse_options(mode, {"unchecked": unchecked, "invalid": invalid, "unknown": unknown}, keep)
    verdicts = columns(frame, prefix, ["status", "action", "reason"])
    kinds = _reference_kinds(references)
    change = wanted(verdicts)
    for option, choice in (("unchecked", unchecked), ("invalid", invalid), ("unknown", unknown)):
        rows = change == OPEN[option]
        if choice == "raise" and rows.any():
            raise InputError(
                f"{int(rows.sum()):,} rows are {CHANGES[OPEN[option]].removeprefix('kept: ')}, first at position "
                f"{int(rows.argmax())}. compliance.changes() lists them; {option}='keep' keeps them, "
                f"{option}='drop' treats them as rows to delete."
            )
        if choice == "drop":
            change[rows] = DROPPED
    if kinds not in ((), ("retweeted",)) and prefix + REFERENCES not in frame.columns:
        raise InputError(
            f"There is no column {prefix + REFERENCES!r}: the frame was not checked for what its rows refer to. "
            "Check it with references=[...] first."
        )
    half = _half_proved(frame, prefix, change)
    if unchecked == "raise" and half.any():
        raise InputError(
            f"Of {int(half.sum()):,} rows that need something else only a part was proved, first at position "
            f"{int(half.argmax())}. unchecked='keep' keeps them, unchecked='drop' treats them as rows to delete."
        )
    if unchecked == "drop":
        change[half] = DROPPED
    if prefix + REFERENCES in frame.columns:
        verdicts[REFERENCES] = frame[prefix + REFERENCES]
        change[refers_to(verdicts[REFERENCES], "gone", kinds)] = DROPPED
    own = _own(frame, prefix)
    spared = {*own, *_positions(frame, _labels(keep, frame), "keep")}
    chosen = None if geo is None else _positions(frame, _labels(geo, frame), "geo")
    if chosen is not None and set(chosen) & set(own):
        raise InputError("geo= names a verdict column. Name the columns that hold geo data.")
    blank: dict[int, Mask] = {}
    rewritten: dict[int, tuple[Rows, list[Any]]] = {}
    unreadable: dict[str, int] = {}
    scrubbed = change == GEO_BLANKED
    if scrubbed.any():
        if chosen is None:
            chosen = [at for at, label in enumerate(frame.columns) if geo_rules.is_name(label) and at not in own]
        blank = dict.fromkeys(chosen, scrubbed)
        rest = [at for at in range(frame.shape[1]) if at not in chosen and at not in own]
        rewritten, found = _records(frame, rest, np.flatnonzero(scrubbed), unreadable)
        if not chosen:
            change[scrubbed & ~found] = NO_GEO
    if mode == "redact" and (change == DROPPED).any():
        change[change == DROPPED] = REDACTED
        redacted = change == REDACTED
        for at in range(frame.shape[1]):
            if at not in spared:
                blank[at] = blank[at] | redacted if at in blank else redacted
    half &= ~np.isin(change, (DROPPED, REDACTED))
    return Plan(mode, prefix, change, verdicts, blank, rewritten, unreadable, geo is None, kinds, half)


def cleaned(frame: pd.DataFrame, plan: Plan) -> pd.DataFrame:
    """Carry out a plan: a new frame, with the index labels, order and dtypes of the old one.

    Integers and booleans that cannot be missing become pandas' nullable ones in columns that lose cells (``int64``
    becomes ``Int64``, ``bool`` becomes ``boolean``, sparse ones the same, and intervals of integers become intervals of
    floats); all others keep their dtype. Categories and index levels that stood only in cells that went are forgotten,
    because they, too, would hold what was to be deleted.

    Parameters
    ----------
    frame : DataFrame
        The frame that the plan was made for; it is not changed.
    plan : Plan
        From :func:`plan`.
    """
    _refuse_other(frame, plan)
    if plan.mode == "mark":
        return _marked(frame, plan)
    rows = np.flatnonzero(plan.change != DROPPED)
    clean = frame.iloc[rows].copy(deep=False)  # iloc with positions has copied; a second frame owes the first nothing
    for at in sorted({*plan.blank, *plan.rewritten}):
        column = frame.iloc[:, at]
        if at in plan.rewritten:
            column = _with(column, *plan.rewritten[at])
        if at in plan.blank:
            column = _without(column, plan.blank[at])
        left: Any = column.iloc[rows].set_axis(clean.index)  # its very index, so that nothing is aligned
        clean.isetitem(at, left)
    own = _own(frame, plan.prefix)
    if len(rows) < len(frame):
        clean.index = _remembering(frame.index, clean.index)
    for at in range(frame.shape[1]):
        lost = len(rows) < len(frame) or at in plan.blank or at in plan.rewritten
        if lost and at not in own and isinstance(frame.dtypes.iloc[at], pd.CategoricalDtype):
            clean.isetitem(at, _forgotten(frame.iloc[:, at].array, clean.iloc[:, at].array))
    return clean


def changes(frame: pd.DataFrame, plan: Plan) -> pd.DataFrame:
    """Return one row for each row that a plan changes, or keeps although it is not known to be compliant.

    Parameters
    ----------
    frame : DataFrame
        The frame that the plan was made for.
    plan : Plan
        From :func:`plan`.

    Returns
    -------
    DataFrame
        Under the row's index label: `row` (position from 0), `change`, why (`status`, `action`, `reason`, and
        `references` if they were asked about) and `columns`, a text that names the columns that lose their cell, with
        the new dtype where it is another. Plain columns, for a file.
    """
    _refuse_other(frame, plan)
    rows = np.flatnonzero((plan.change != KEPT) | plan.refer_unproved)
    told = plan.verdicts.iloc[rows]
    table = {
        "row": rows,
        "change": pd.Categorical.from_codes(plan.change[rows], categories=pd.Index(CHANGES, dtype=object)),
        **{name: told[name].array for name in told},
        "columns": _column_lists(frame, plan)[rows],
    }
    return pd.DataFrame(table, index=told.index)


# --------------------------------------------------------------------------- deciding


def refuse_options(mode: str, choices: dict[str, str], keep: object) -> None:
    if mode not in MODES:
        raise InputError(f"mode={mode!r} is not known. Use mode='drop', 'redact' or 'mark'.")
    for option, choice in choices.items():
        if choice not in ("keep", "drop", "raise"):
            raise InputError(f"{option}={choice!r} is not known. Use {option}='keep', 'drop' or 'raise'.")
    if mode != "redact" and not (isinstance(keep, tuple | list) and not keep):
        raise InputError("keep= names what redacted rows keep. Use it with mode='redact'.")


def _reference_kinds(given: Iterable[str]) -> tuple[str, ...]:
    kinds = (given,) if isinstance(given, str) else tuple(given or ())
    for kind in kinds:
        if kind not in KINDS:
            raise InputError(f"references={kind!r} is not known. Use some of {', '.join(KINDS)}, or [] for none.")
    return kinds


def _refuse_other(frame: pd.DataFrame, plan: Plan) -> None:
    if len(frame) != len(plan.change):
        raise InputError("The plan was made for another frame. Make it anew.")


def wanted(verdicts: pd.DataFrame) -> npt.NDArray[np.int8]:
    """Return what each row's verdict asks for; only those of known actions are ever carried out."""
    status, asked = verdicts["status"], _ASKED[severity(verdicts["action"], verdicts["reason"])]
    statuses = [status == "action_required", status == "unchecked", status == "invalid"]
    return np.select(statuses, [asked, UNCHECKED, INVALID], KEPT).astype(np.int8)


def _half_proved(frame: pd.DataFrame, prefix: str, change: npt.NDArray[np.int8]) -> Mask:
    """Return which rows need something else than to go, while a part of them is unchecked or invalid."""
    found = np.zeros(len(frame), dtype=np.bool_)
    for at, name in enumerate(map(geo_rules.said, frame.columns)):  # the column that a part is of may be gone
        if name.startswith(prefix) and name.endswith("_status"):
            found |= frame.iloc[:, at].astype(object).isin(["unchecked", "invalid"]).to_numpy()
    return found & np.isin(change, (GEO_BLANKED, REHYDRATE, UNKNOWN))


def to_delete(verdicts: pd.DataFrame) -> Mask:
    """Return which rows are to be deleted by their verdict, which blanking geo data is not."""
    return np.asarray(wanted(verdicts) == DROPPED)


def _records(
    frame: pd.DataFrame, places: list[int], rows: Rows, unreadable: dict[str, int]
) -> tuple[dict[int, tuple[Rows, list[Any]]], Mask]:
    """Return the new cells of columns that hold whole posts, and which rows have one; count what cannot be read."""
    rewritten: dict[int, tuple[Rows, list[Any]]] = {}
    found = np.zeros(len(frame), dtype=np.bool_)
    for at in places:
        column = frame.iloc[:, at]
        if column.dtype.kind in "biufcmM":
            continue  # numbers and times
        spots, cells, failed = [], [], 0
        for row, cell in zip(rows.tolist(), column.iloc[rows].tolist(), strict=True):
            if not geo_rules.may_be_record(cell):
                continue
            try:
                new, has_place = geo_rules.blanked(cell)
            except ValueError:
                failed += 1
                continue
            if has_place:
                found[row] = True
                spots.append(row)
                cells.append(new)
        if spots:
            rewritten[at] = np.array(spots), cells
        if failed:
            unreadable[geo_rules.said(frame.columns[at])] = failed
    return rewritten, found


# --------------------------------------------------------------------------- columns


def _own(frame: pd.DataFrame, prefix: str) -> list[int]:
    """Return where the verdict columns stand, and that of mode="mark"."""
    names = [prefix + name for name in (*VERDICT_COLUMNS, CAUSE, REFERENCES, *part_names(frame.columns), MARK)]
    return _positions(frame, [name for name in names if name in frame.columns], "prefix")


def _labels(given: Hashable | Iterable[Hashable], frame: pd.DataFrame) -> list[Hashable]:
    if isinstance(given, str) or (isinstance(given, tuple) and given in frame.columns):
        return [given]
    return list(given) if isinstance(given, Iterable) else [given]


def _positions(frame: pd.DataFrame, labels: Iterable[Hashable], option: str) -> list[int]:
    """Return where columns stand. A name that several columns have, or the first level of several, means all."""
    places = np.arange(frame.shape[1])
    found: list[int] = []
    for label in labels:
        try:
            found += np.atleast_1d(places[frame.columns.get_loc(label)]).tolist()
        except (KeyError, TypeError, pd.errors.InvalidIndexError):
            raise InputError(f"There is no column {label!r}. Correct {option}=.") from None
    return found


def _nullable(dtype: Any) -> Any:
    """Return the dtype of a column that loses cells: its own, or one that has missing values and keeps all digits."""
    if isinstance(dtype, pd.SparseDtype) and dtype.subtype.kind in "biu":
        return _nullable(dtype.subtype)
    if isinstance(dtype, np.dtype) and dtype.kind == "b":
        return pd.BooleanDtype()
    if isinstance(dtype, np.dtype) and dtype.kind in "iu":
        return pd.api.types.pandas_dtype(dtype.name.replace("uint", "UInt").replace("int", "Int"))
    if isinstance(dtype, pd.IntervalDtype) and dtype.subtype is not None and dtype.subtype.kind in "iu":
        return pd.IntervalDtype("float64", dtype.closed)
    return dtype


def _without(column: pd.Series, rows: Mask) -> pd.Series:
    """Return a copy of a column in which these rows are missing."""
    if column.dtype == object:
        values = column.to_numpy(copy=True)
        values[rows] = None
        return pd.Series(values, index=column.index, dtype=object)  # else pandas guesses a dtype
    dtype = _nullable(column.dtype)
    array = column.array if column.dtype == dtype else pd.array(np.asarray(column), dtype=dtype)
    place = np.arange(len(column))
    place[rows] = -1
    return pd.Series(array.take(place, allow_fill=True), index=column.index)


def _with(column: pd.Series, rows: Rows, cells: list[Any]) -> pd.Series:
    """Return a copy of a column with new cells."""
    array = column.array.copy()
    if isinstance(array, pd.Categorical):
        array = array.add_categories([cell for cell in dict.fromkeys(cells) if cell not in array.categories])
    filled = np.empty(len(cells), dtype=object)  # a list of dicts must not become an array of something else
    filled[:] = cells
    array[rows] = filled
    return pd.Series(array, index=column.index, dtype=None if isinstance(array, pd.Categorical) else column.dtype)


def _forgotten(before: pd.Categorical, after: pd.Categorical) -> pd.Categorical:
    """Return `after` without the categories that had rows before and have none now; never used ones stay."""
    gone = np.setdiff1d(before.codes, np.append(after.codes, -1))  # new categories stand after the old ones
    return after.set_categories(after.categories.delete(gone)) if len(gone) else after


def _remembering(before: pd.Index, after: pd.Index) -> pd.Index:
    """Return the index of the rows that stay without the labels of those that went."""
    if isinstance(after, pd.MultiIndex):
        left = after.remove_unused_levels()
        levels = [
            level.remove_unused_categories() if isinstance(level, pd.CategoricalIndex) else level
            for level in left.levels
        ]
        return left.set_levels(levels, verify_integrity=False)  # type: ignore[arg-type]  # indexes are sequences
    if isinstance(before, pd.CategoricalIndex):
        return pd.CategoricalIndex(_forgotten(before.array, after.array), name=after.name)
    return after


def _marked(frame: pd.DataFrame, plan: Plan) -> pd.DataFrame:
    label: Hashable = plan.prefix + MARK
    if label in frame.columns and not frame[label].isin(CHANGES).to_numpy().all():
        raise InputError(f"There is a column {label!r} that mode='mark' did not make. Rename it first.")
    if frame.columns.nlevels > 1:
        label = (label, *[""] * (frame.columns.nlevels - 1))
    marked = frame.copy()
    marked[label] = pd.Categorical.from_codes(plan.change, categories=pd.Index(CHANGES, dtype=object))
    return marked


def _column_lists(frame: pd.DataFrame, plan: Plan) -> npt.NDArray[np.object_]:
    """Return for each row the names of the columns that lose something; rows that are alike share one text."""
    told: npt.NDArray[np.object_] = np.full(len(frame), "", dtype=object)
    for kind in (GEO_BLANKED, REDACTED):
        rows = plan.change == kind
        if rows.any():
            first = int(rows.argmax())
            names = [_said(frame, at) for at, mask in sorted(plan.blank.items()) if mask[first]]
            told[rows] = ", ".join(names)
    for at, (rows, _) in plan.rewritten.items():
        name = f"geo in {geo_rules.said(frame.columns[at])}"
        for row in rows.tolist():
            told[row] = f"{told[row]}, {name}" if told[row] else name
    return told


def _said(frame: pd.DataFrame, at: int) -> str:
    dtype = frame.dtypes.iloc[at]
    new = _nullable(dtype)
    return geo_rules.said(frame.columns[at]) + (f" ({dtype} becomes {new})" if new != dtype else "")
