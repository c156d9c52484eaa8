"""Counting the outcome: verdict columns of a checked frame -> tidy tables, spans and a sentence.

The columns are the report: everything here reads them and nothing else, so it works on a frame that was saved as
CSV and reloaded a month later, when categories and datetimes have become text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype

from .combined import KINDS, REFERENCES, refers_to
from .errors import InputError
from .protocol import ACTIONS, REASONS
from .results import words
from .verdicts import STATUSES, VERDICT_COLUMNS

_KNOWN = {"status": STATUSES, "action": ACTIONS, "reason": REASONS, "run": ()}
_COUNTED = ["status", "action", "reason"]
# A saved file's name may look like a run's, so it is looked for first.
_RUN = re.compile(r"\bfile-[A-Za-z0-9._-]+|(sandbox-)?(tweets|users)-([0-9]{8})-[0-9a-f]{8}(?:-attached)?")
_GIVEN = re.compile(r"\bfile-|[0-9a-f]{8}-attached\b")
_KINDS = {"tweets": "post", "users": "user"}
_VERBS = {"retweeted": "retweet", "quoted": "quote", "replied_to": "reply to"}


def columns(frame: pd.DataFrame, prefix: str = "compliance_", names: Sequence[str] = VERDICT_COLUMNS) -> pd.DataFrame:
    """Return the verdict columns of a checked frame, without prefix and with their own dtypes again.

    Parameters
    ----------
    frame : DataFrame
        What ``check`` or ``join`` returned, or the same reloaded from a file.
    prefix : str
        The prefix given to ``check`` or ``join``.
    names : sequence of str
        The verdict columns that are needed; the others may be absent.

    Returns
    -------
    DataFrame
        The index of `frame`; `status`, `action`, `reason` and `run` are categories (known words in their fixed
        order, then unknown ones, sorted), the times are UTC datetimes.

    Raises
    ------
    InputError
        A column is missing or double, a status is none of the four words, or a time cannot be read.

    Examples
    --------
    >>> import io, pandas as pd
    >>> text = "compliance_status,compliance_checked_at\\ncompliant,2026-11-23 20:15:00+00:00\\nunchecked,\\n"
    >>> columns(pd.read_csv(io.StringIO(text)), names=["status", "checked_at"])["checked_at"].dt.day.tolist()
    [23.0, nan]
    """
    found = [f"{prefix}{name}" for name in names]
    missing = [name for name in found if name not in frame.columns]
    if missing:
        raise InputError(
            f"The frame has no column {', '.join(map(repr, missing))}. Use the frame that check() or join() returned, "
            "or pass the prefix= that was given to them."
        )
    double = [name for name in found if list(frame.columns).count(name) > 1]
    if double:
        raise InputError(f"The frame has more than one column {', '.join(map(repr, double))}. Keep only one of each.")
    table = {
        name: _words(frame[full], _KNOWN[name]) if name in _KNOWN else _times(frame[full])
        for name, full in zip(names, found, strict=True)
    }
    verdicts = pd.DataFrame(table, index=frame.index)
    if "status" in verdicts:
        _check_status(verdicts["status"], f"{prefix}status")
    return verdicts


def summary(frame: pd.DataFrame, prefix: str = "compliance_") -> pd.DataFrame:
    """Count the rows of a checked frame by status, action and reason.

    Parameters
    ----------
    frame : DataFrame
        What ``check`` or ``join`` returned, or the same reloaded from a file.
    prefix : str
        The prefix given to ``check`` or ``join``.

    Returns
    -------
    DataFrame
        One row for each combination that occurs, and one with 0 `rows` for each status that does not: `status`,
        `action`, `reason`, `rows` (int64) and `share` (of all rows, 0 to 1). Statuses, actions and reasons stand
        in a fixed order, unknown words after the known ones, a missing word last. Every row of `frame` is counted
        once.

    Examples
    --------
    >>> import pandas as pd
    >>> summary(
    ...     pd.DataFrame(
    ...         {
    ...             "compliance_status": ["compliant", "action_required", "compliant", "compliant"],
    ...             "compliance_action": [None, "delete", None, None],
    ...             "compliance_reason": [None, "suspended", None, None],
    ...         }
    ...     )
    ... )
                status  action     reason  rows  share
    0        compliant     NaN        NaN     3   0.75
    1  action_required  delete  suspended     1   0.25
    2        unchecked     NaN        NaN     0   0.00
    3          invalid     NaN        NaN     0   0.00
    """
    table = columns(frame, prefix, _COUNTED)
    return _complete(table.groupby(_COUNTED, observed=True, dropna=False).size().rename("rows").reset_index())


def whole(summaries: pd.DataFrame) -> pd.DataFrame:
    """Return the summary of a whole from the summaries of its parts, one below the other.

    Examples
    --------
    >>> import pandas as pd
    >>> parts = [pd.DataFrame({"compliance_status": ["compliant"] * n}) for n in (1, 2)]
    >>> parts = [part.assign(compliance_action=None, compliance_reason=None) for part in parts]
    >>> whole(pd.concat(map(summary, parts)))[["status", "rows", "share"]].head(2)
                status  rows  share
    0        compliant     3    1.0
    1  action_required     0    0.0
    """
    table = summaries.loc[summaries["rows"] > 0, [*_COUNTED, "rows"]].reset_index(drop=True)
    for name in _COUNTED:
        table[name] = _words(table[name], _KNOWN[name])
    return _complete(table.groupby(_COUNTED, observed=True, dropna=False)["rows"].sum().reset_index())


def _complete(counts: pd.DataFrame) -> pd.DataFrame:
    """Add the statuses that do not occur, and the shares."""
    absent = [status for status in STATUSES if status not in set(counts["status"])]
    zeros = pd.DataFrame({"status": absent, "action": None, "reason": None, "rows": 0})
    rows = pd.concat([counts.astype(object), zeros.astype(object)], ignore_index=True)
    for name in _COUNTED:
        rows[name] = pd.Categorical(rows[name], categories=counts[name].cat.categories)
    rows = rows.astype({"rows": "int64"}).sort_values(_COUNTED, ignore_index=True)
    return rows.assign(share=rows["rows"] / max(rows["rows"].sum(), 1))


def checked_span(frame: pd.DataFrame, prefix: str = "compliance_") -> tuple[pd.Timestamp, pd.Timestamp]:
    """Return the first and the last time of a check in the frame; (NaT, NaT) when no row was checked.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"compliance_checked_at": ["2026-11-23 20:15:00+00:00", None]})
    >>> checked_span(frame)[0].isoformat()
    '2026-11-23T20:15:00+00:00'
    """
    times = columns(frame, prefix, ["checked_at"])["checked_at"]
    return times.min(), times.max()


def runs(frame: pd.DataFrame, prefix: str = "compliance_") -> pd.DataFrame:
    """Return the runs that the rows name, with what their names tell.

    Parameters
    ----------
    frame : DataFrame
        What ``check`` or ``join`` returned, or the same reloaded from a file.
    prefix : str
        The prefix given to ``check`` or ``join``.

    Returns
    -------
    DataFrame
        Index `run`; `type` (tweets or users), `day` (UTC, on which it began), `sandbox` (whether its verdicts are
        invented), `rows` that name it. Names that are no run's, such as those of saved files, are left out.

    Examples
    --------
    >>> import pandas as pd
    >>> runs(pd.DataFrame({"compliance_run": ["sandbox-tweets-20261123-0123abcd", None]})).T.iloc[:, 0]
    type                          tweets
    day        2026-11-23 00:00:00+00:00
    sandbox                         True
    rows                               1
    Name: sandbox-tweets-20261123-0123abcd, dtype: object
    """
    return _named(columns(frame, prefix, ["run"])["run"])


def sentence(frame: pd.DataFrame, prefix: str = "compliance_") -> str:
    """Say in words what was checked and what came out, for the methods section of a paper.

    Parameters
    ----------
    frame : DataFrame
        What ``check`` or ``join`` returned, or the same reloaded from a file.
    prefix : str
        The prefix given to ``check`` or ``join``.

    Returns
    -------
    str
        The day or days of the check (UTC), the kind of IDs, and every row of `frame` exactly once, by status; those
        that need action also by reason, in the service's own words. Shares are of all rows. Rows are counted, not
        distinct IDs, because the verdict columns hold no ID. Verdicts of a sandbox are said to be invented, and of
        those that rest on a saved file or an attached job it is said that they were not proved.

    Examples
    --------
    >>> import pandas as pd
    >>> sentence(
    ...     pd.DataFrame(
    ...         {
    ...             "compliance_status": ["compliant", "action_required", "compliant", "unchecked"],
    ...             "compliance_action": [None, "delete", None, None],
    ...             "compliance_reason": [None, "suspended", None, None],
    ...             "compliance_checked_at": ["2026-11-23 20:15:00+00:00"] * 3 + [None],
    ...             "compliance_run": ["tweets-20261123-0123abcd"] * 3 + [None],
    ...         }
    ...     )
    ... )
    "On 23 November 2026 (UTC) we checked the post IDs in 3 of 4 rows against X's batch compliance endpoint (job type
    tweets): 1 (25.0 %) required action (delete), by reason suspended 1 (25.0 %); 2 (50.0 %) were compliant;
    1 (25.0 %) stayed unchecked, for want of an ID or of proof. Rows are counted, not distinct IDs; shares are of all
    rows."
    """
    table = columns(frame, prefix, [*_COUNTED, "checked_at", "run"])
    if table.empty:
        return "The table has no rows, so nothing was checked."
    counts = table["status"].value_counts().reindex(STATUSES, fill_value=0)
    compliant, flagged, unchecked, invalid = (f"{_part(int(counts[word]), len(table))}" for word in STATUSES)
    rows = f"{len(table):,} row{'' if len(table) == 1 else 's'}"
    left = {
        "unchecked": f"{unchecked} stayed unchecked, for want of an ID or of proof{_errors(table)}",
        "invalid": f"{invalid} held something that is no ID",
    }
    rest = "; ".join(words for status, words in left.items() if counts[status]) or "0 could not be checked"
    judged = table["status"].isin(["compliant", "action_required"])
    if not judged.any():
        return f"No row got a verdict, so nothing is known of the {rows}: {rest}."
    told = table.loc[judged.to_numpy(), "run"]
    named, files = _named(told), _files(told)
    number = int(judged.sum())
    these = rows if number == len(table) else f"{number:,} of {rows}"
    job = _job(named, number - int(files.sum()), len(files))
    referring = _referring(frame, prefix)
    return (
        f"{_invented(named)}{_when(table[judged])} we checked {_kinds(named)} in {these} against "
        f"{_service(named, len(files))} ({job}): {flagged} required action{_why(table, len(table))}; "
        f"{compliant} {'was' if counts['compliant'] == 1 else 'were'} compliant; {rest}. {referring}{_on_a_word(table)}"
        "Rows are counted, not distinct IDs; shares are of all rows."
    )


def percent(part: int, whole: int) -> str:
    """Return a share with one decimal that never rounds something to nothing, nor almost all to all.

    Examples
    --------
    >>> percent(1, 3), percent(1, 1_000_000), percent(999_999, 1_000_000), percent(0, 0)
    ('33.3 %', '<0.1 %', '>99.9 %', '0.0 %')
    """
    share = 100 * part / max(whole, 1)
    if 0 < share < 0.05:
        return "<0.1 %"
    if 99.95 <= share < 100:
        return ">99.9 %"
    return f"{share:.1f} %"


def plain(text: str, limit: int = 60) -> str:
    """Make foreign text fit for the screen: printable characters only, and not too many of them.

    Examples
    --------
    >>> plain("deleted\\n\\x1b[31m", 40), plain("a very long reason", 10)
    ('deleted  [31m', 'a very lo…')
    """
    clean = "".join(c if c.isprintable() else " " for c in text).strip()
    return clean if len(clean) <= limit else clean[: limit - 1] + "\N{HORIZONTAL ELLIPSIS}"


def _words(column: pd.Series, known: tuple[str, ...]) -> pd.Categorical:
    """Return a column of words as categories; an empty text is how some CSV readers spell a missing word."""
    codes, seen = pd.factorize(column)
    distinct = words([str(word) or None for word in seen], known)
    return pd.Categorical.from_codes(np.append(distinct.codes, -1)[codes], categories=distinct.categories)


def _times(column: pd.Series) -> pd.Series:
    try:
        if is_numeric_dtype(column):
            if column.notna().any():
                raise ValueError("a number tells no time without its unit")
            column = column.astype(object)
        codes, seen = pd.factorize(column)  # text of a reloaded file: few times are distinct, or few rows have one
        distinct = pd.to_datetime(pd.Index(seen), utc=True, format="ISO8601")
        return pd.Series(distinct.take(codes, allow_fill=True, fill_value=pd.NaT), column.index, name=column.name)
    except (ValueError, TypeError):
        raise InputError(
            f"The column {column.name!r} holds something that is no time. "
            "Use the frame as check() or join() returned it, or blank the times that cannot be read."
        ) from None


def _check_status(status: pd.Series, name: str) -> None:
    unknown = [repr(plain(word)) for word in status.cat.categories if word not in STATUSES]
    if unknown:
        raise InputError(
            f"The column {name!r} holds {', '.join(unknown[:5])}, which is no status: those are "
            f"{', '.join(STATUSES)}. Pass the prefix= of the verdict columns, or correct the values."
        )
    blank = int(status.isna().sum())
    if blank:
        raise InputError(
            f"The column {name!r} has no status in {blank:,} rows, as after concat or merge with rows that were never "
            f"checked. Say so first: frame[{name!r}] = frame[{name!r}].fillna('unchecked')."
        )


# --------------------------------------------------------------------------- parts of the sentence


def given(frame: pd.DataFrame, prefix: str = "compliance_") -> int:
    """Count the rows that are compliant on somebody's word only: of a saved file, or of an attached job.

    Examples
    --------
    >>> import pandas as pd
    >>> names = ["file-results.ndjson-0123abcd", "tweets-20261123-0123abcd", "tweets-20261123-0123abcd-attached"]
    >>> given(pd.DataFrame({"compliance_status": "compliant", "compliance_run": names}))
    2
    """
    return _given(columns(frame, prefix, ["status", "run"]))


def _given(table: pd.DataFrame) -> int:
    rows = table.loc[table["status"] == "compliant", "run"].value_counts(sort=False)
    return sum(int(count) for word, count in rows.items() if _GIVEN.search(str(word)))


def _on_a_word(table: pd.DataFrame) -> str:
    count = _given(table)
    if not count:
        return ""
    rows = f"that {count:,} of the rows {'is' if count == 1 else 'are'} compliant"
    return (
        f"Not proved is {rows}: it rests on the word of whoever gave the saved results, or the list of the IDs sent. "
    )


def _referring(frame: pd.DataFrame, prefix: str) -> str:
    """Say how many rows refer to posts that are gone, whatever their own verdict is."""
    if prefix + REFERENCES not in frame.columns:
        return ""
    told = frame[prefix + REFERENCES]
    gone = {kind: int(refers_to(told, "gone", [kind]).sum()) for kind in KINDS}
    parts = [f"{rows:,} {_VERBS[kind]}" for kind, rows in gone.items() if rows] or ["none"]
    return f"Whatever their own verdict, of the rows {', '.join(parts)} posts that are gone. "


def _files(column: pd.Series) -> pd.Series:
    """Return the saved files that rows name, and how many do."""
    words = column.value_counts(sort=False)
    return words[[bool(rows) and str(word).startswith("file-") for word, rows in words.items()]]


def _named(column: pd.Series) -> pd.DataFrame:
    words = column.value_counts(sort=False)
    # Anywhere in the word, so that a cell that names several runs is understood as well.
    found = [
        (match[0], match[2], match[3], match[1] is not None, rows)
        for word, rows in words.items()
        for match in _RUN.finditer(str(word))
        if match[2] is not None
    ]
    table = pd.DataFrame(found, columns=["run", "type", "day", "sandbox", "rows"])
    table = table.astype({"sandbox": bool, "rows": "int64"})
    table["day"] = pd.to_datetime(table["day"], format="%Y%m%d", utc=True, errors="coerce")
    keep = {"type": "first", "day": "first", "sandbox": "first", "rows": "sum"}
    return table.groupby("run", sort=False).agg(keep)


def _part(rows: int, whole: int) -> str:
    return f"{rows:,} ({percent(rows, whole)})"


def _invented(named: pd.DataFrame) -> str:
    if not named["sandbox"].any():
        return ""
    which = "these" if named["sandbox"].all() else "some of these"
    return f"SANDBOX, NOT FOR PUBLICATION: {which} verdicts are invented by a service that only plays X's part. "


def _when(judged: pd.DataFrame) -> str:
    """Return the day or days of the checks; for a row without time its run's first day, which is not too late."""
    began = [_RUN.search(str(word)) for word in judged["run"].cat.categories]
    days = pd.to_datetime(
        ["" if match is None else match[3] or "" for match in [*began, None]],
        format="%Y%m%d",
        utc=True,
        errors="coerce",
    )
    # The code of a row without a run is -1, which takes the last: no day.
    moments = judged["checked_at"].fillna(pd.Series(days.take(judged["run"].cat.codes.to_numpy()), index=judged.index))
    if moments.isna().all():
        return "On an unknown day"
    first, last = _day(moments.min()), _day(moments.max())
    return f"On {first} (UTC)" if first == last else f"Between {first} and {last} (UTC)"


def _day(moment: pd.Timestamp) -> str:
    return f"{moment.day} {moment.month_name()} {moment.year}"  # in English, whatever the locale


def _kinds(named: pd.DataFrame) -> str:
    kinds = [_KINDS[word] for word in sorted(set(named["type"]))]
    return f"the {' and '.join(kinds)}{' ' if kinds else ''}IDs"


def _service(named: pd.DataFrame, files: int) -> str:
    """Return who answered; without a run's name nobody can tell that it was X."""
    names = {False: "X's batch compliance endpoint", True: "a local sandbox"}
    told = [names[bool(word)] for word in sorted(set(named["sandbox"]))]
    if files:
        told.append("a saved result file" if files == 1 else f"{files:,} saved result files")
    return " and ".join(told) or "a service that is not named"


def _job(named: pd.DataFrame, judged: int, files: int) -> str:
    if named.empty:
        return "job type unknown" if files and not judged else "job type unknown, for no run is named"
    types = sorted(set(named["type"]))
    words = f"job type{'s' if len(types) > 1 else ''} {' and '.join(types)}"
    many = f", {len(named):,} runs" if len(named) > 1 else ""
    nameless = judged - int(named["rows"].sum())
    return words + many + (f"; {nameless:,} of the verdicts name no run" if nameless > 0 else "")


def _why(table: pd.DataFrame, whole: int) -> str:
    """Return actions and reasons of the rows that need action, in the service's words."""
    flagged = table[table["status"] == "action_required"]
    if flagged.empty:
        return ""
    actions = _frequent(flagged["action"], "no action named")
    done = actions[0][0] if len(actions) == 1 else ", ".join(f"{word} {rows:,}" for word, rows in actions)
    given = [f"{word} {_part(rows, whole)}" for word, rows in _frequent(flagged["reason"], "none given")]
    return f" ({done}), by reason {', '.join(given)}"


def _errors(table: pd.DataFrame) -> str:
    told = _frequent(table.loc[table["status"] == "unchecked", "reason"].dropna(), "")
    return f" (errors: {', '.join(f'{word} {rows:,}' for word, rows in told)})" if told else ""


def _frequent(column: pd.Series, missing: str) -> list[tuple[str, int]]:
    """Return words and their rows, the most frequent first, equal ones in their fixed order."""
    counts = column.value_counts(sort=False, dropna=False).sort_values(ascending=False, kind="stable")
    return [(plain(word) if isinstance(word, str) else missing, int(rows)) for word, rows in counts.items() if rows]
