"""Result files that somebody saved earlier, with curl, twarc or another program; and lists of IDs that were sent.

Nobody here saw such a file come in, nor what was uploaded before. What it lists is X's word and is used. What it does
not list is compliant only on the word of whoever gives both the file and the list of IDs that were sent, and only if
nothing in them speaks against it; the verdicts then name the file, so that nobody takes them for proved.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from . import ids as id_rules
from . import outcome, results, tables
from .digest import Grade, unpack
from .errors import InputError
from .ids import Ints
from .results import Results
from .verdicts import Covered

NAME_MAX = 60  # characters of a file's name in the column `run`
GZIP = b"\x1f\x8b"


@dataclass(frozen=True, eq=False, repr=False)
class SavedResults:
    """What a saved result file says. Made by :func:`xcompliance_pd.read_results`, put on rows by ``join``.

    Attributes
    ----------
    name : str
        The file's name, without its folder.
    sha256 : str
        Of the file as it is on disk, in hex.
    lines : int
        Lines that are not blank.
    bad : tuple of (int, str)
        The first 20 lines that cannot be read: number from 1, and what is wrong.
    bad_count : int
        How many there are.
    flaw : str or None
        Why the file cannot be whole, as far as it tells by itself.
    checked_at : datetime or None
        When its IDs had been uploaded, as given.

    Examples
    --------
    >>> import tempfile, xcompliance_pd as xc
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "results.ndjson")
    ...     size = path.write_text('{"id":"20","action":"delete","reason":"deleted"}\\n{"id":"21","act')
    ...     saved = xc.read_results(path)
    >>> saved
    <SavedResults results.ndjson: 2 lines, 1 finding, 1 bad line>
    >>> saved.flaw
    'it does not end with a whole line'
    """

    name: str
    sha256: str
    lines: int
    bad: tuple[tuple[int, str], ...]
    bad_count: int
    flaw: str | None
    checked_at: datetime | None
    _records: pd.DataFrame

    @property
    def run(self) -> str:
        """What the verdict column `run` says: ``file-``, the file's name, and the begin of its SHA-256."""
        return f"file-{re.sub('[^A-Za-z0-9._-]', '_', self.name)[:NAME_MAX]}-{self.sha256[:8]}"

    @property
    def findings(self) -> pd.DataFrame:
        """One row a record, in file order, as :meth:`xcompliance_pd.Run.result` gives them; `id` is text."""
        return self._records.assign(id=self._records["id"].astype(str))

    def doubt(self, sent: Ints | None) -> str | None:
        """Say why an ID that the file does not list is not known to be compliant; None if only words vouch for it."""
        if self.flaw is not None:
            return self.flaw
        if sent is None:
            return "which IDs were sent is not given (sent=...)"
        listed, _, foreign = outcome.reconcile(self._records, sent)
        if foreign:
            return f"{foreign:,} of its records are for IDs that were not sent"
        if not listed:
            return "it lists none of the IDs that were sent, so nothing shows that it is about them"
        return None

    def grade(self, sent: Ints | None) -> Grade:
        """Return the evidence for IDs that the file does not list: ``given`` or ``unproved``."""
        return Grade.UNPROVED if self.doubt(sent) else Grade.GIVEN

    def covered(self, sent: Ints | None) -> Covered:
        """Return what the file says of the IDs that were sent, or of those it lists."""
        own = id_rules.distinct(self._records["id"].to_numpy()) if sent is None else sent
        return Covered(own, self._records, self.grade(sent) is not Grade.UNPROVED, self.checked_at, self.run)

    def __repr__(self) -> str:
        counts = ((self.lines, "line"), (len(self._records), "finding"), (self.bad_count, "bad line"))
        words = (f"{count:,} {word}{'' if count == 1 else 's'}" for count, word in counts)
        return f"<SavedResults {self.name}: {', '.join(words)}>"


def read_results(path: str | os.PathLike[str], *, checked_at: datetime | str | None = None) -> SavedResults:
    """Read a result file that was downloaded earlier, as X delivers it; no request is made.

    Parameters
    ----------
    path : path
        One file: a JSON object a line, plain or packed with gzip.
    checked_at : datetime or str, optional
        When the IDs had been uploaded, with a time zone; it becomes the verdict column of that name. A result file
        does not tell.

    Returns
    -------
    SavedResults
        For ``df.compliance.join("id", saved, sent="ids.txt")``.

    Raises
    ------
    InputError
        The file cannot be read, or holds no record of X's batch compliance results.

    Notes
    -----
    X lists only IDs that need action, so a file that lost some of its lines looks just like one of more compliant
    IDs, and nothing in a saved file tells one from the other. Therefore an ID that it does not list stays
    ``unchecked``, unless `join` is given the IDs that were sent, the file is whole as far as it tells (every line can
    be read, the last one has its end), each record is about an ID that was sent, and there is one at least. Then such
    an ID is called ``compliant`` on your word, that the upload was whole and so is the file: evidence of the grade
    ``given``. `join` warns, the column `run` names the file, and sentence and report say so. Checking again is the
    better way.

    Whether a sandbox wrote the file cannot be seen either.

    Examples
    --------
    >>> import pandas as pd, tempfile, warnings, xcompliance_pd as xc
    >>> from pathlib import Path
    >>> posts = pd.DataFrame({"id": ["20", "21", "22"]})
    >>> with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")  # it says on whose word a row is compliant
    ...     path = Path(folder, "results.ndjson")
    ...     size = path.write_text('{"id":"20","action":"delete","reason":"deleted"}\\n')
    ...     alone = posts.compliance.join("id", xc.read_results(path))
    ...     vouched = posts.compliance.join("id", xc.read_results(path), sent=["20", "21"])
    >>> alone["compliance_status"].tolist()
    ['action_required', 'unchecked', 'unchecked']
    >>> vouched["compliance_status"].tolist()
    ['action_required', 'compliant', 'unchecked']
    """
    if not isinstance(path, str | os.PathLike):
        raise InputError(f"One result file is read at a time, not a {type(path).__name__}. Give its path.")
    moment = _moment(checked_at)
    target = Path(path).expanduser()
    try:
        data = target.read_bytes()
    except OSError as error:
        raise InputError(f"{target} cannot be read ({error.strerror or error}). Check the path.") from None
    parsed, flaw = _parse(data)
    records = parsed.findings
    told = records[["action", "reason", "error"]].notna().any(axis=None)
    if parsed.lines and not told:
        first = f" (line {parsed.bad[0][0]}: {parsed.bad[0][1]})" if parsed.bad else ""
        raise InputError(
            f"{target.name} holds no record of compliance results{first}. Those are JSON objects, one a line, with "
            "'id', 'action' and 'reason'. Download the results again, or name another file."
        )
    return SavedResults(
        target.name,
        hashlib.sha256(data).hexdigest(),
        parsed.lines,
        parsed.bad,
        parsed.bad_count,
        flaw,
        moment,
        records,
    )


def _parse(data: bytes) -> tuple[Results, str | None]:
    """Return what a file says, and why it cannot be whole, as far as it tells by itself."""
    pieces = (data[start : start + outcome.PIECE] for start in range(0, len(data), outcome.PIECE))
    damage: list[str] = []
    last = b""

    def blocks() -> Iterator[bytes]:
        nonlocal last
        try:
            for block in unpack(pieces, "gzip" if data.startswith(GZIP) else "identity"):
                last = block[-1:]
                yield block
        except ValueError as problem:
            damage.append(str(problem))

    parsed = results.read(blocks())
    if damage:
        return parsed, damage[0]
    if not parsed.lines:
        return parsed, "it holds no record, just as a download that failed"
    if last != b"\n":
        return parsed, "it does not end with a whole line"
    if parsed.bad_count:
        number, what = parsed.bad[0]
        return parsed, f"{parsed.bad_count:,} of its lines cannot be read (line {number}: {what})"
    return parsed, None


def _moment(value: datetime | str | None) -> datetime | None:
    if value is None:
        return None
    try:
        moment: Any = pd.Timestamp(value)
    except (ValueError, TypeError):
        moment = pd.NaT
    if moment is pd.NaT or moment.tzinfo is None:
        raise InputError(
            f"checked_at={str(value)[:40]!r} is no time with a time zone. Write it like '2026-11-23T20:15:00Z'."
        )
    return moment.tz_convert("UTC").to_pydatetime(warn=False).astimezone(UTC)  # type: ignore[no-any-return]


# --------------------------------------------------------------------------- which IDs were sent


def sent_ids(sent: Any) -> Ints:
    """Return the distinct IDs that somebody says were sent, ascending.

    Parameters
    ----------
    sent : path, Series, array or list
        A path is that of a list of IDs, one a line, or of a table with that one column.

    Raises
    ------
    InputError
        It holds no ID, or anything that is no ID: as a statement of what was sent it has to be exact.

    Examples
    --------
    >>> sent_ids(["21", 20, "21", None]).tolist()
    [20, 21]
    """
    if isinstance(sent, str | os.PathLike):
        table = tables.read(Path(sent).expanduser())
        what = table.path.name
        if len(table.frame.columns) != 1:
            raise InputError(
                f"{what} has {len(table.frame.columns)} columns, and the IDs that were sent are one. Give the column: "
                "sent=pd.read_csv(path, dtype=str)['id']."
            )
        series = table.frame.iloc[:, 0]
    elif isinstance(sent, pd.Series):
        series, what = sent, "sent="
    elif isinstance(sent, np.ndarray | list | tuple | set | frozenset | pd.Index | pd.api.extensions.ExtensionArray):
        # As objects, so that no list of integers and a gap turns into floats.
        whole = isinstance(sent, list | tuple | set | frozenset)
        series, what = pd.Series(list(sent), dtype=object) if whole else pd.Series(sent), "sent="
    else:
        raise InputError(
            f"sent= takes the IDs that were uploaded, or the path of the file that was, not a {type(sent).__name__}. "
            "Give a path, a column such as df['id'], or a list."
        )
    ids = id_rules.parse(series, what)
    wrong = id_rules.describe(ids, series)
    if len(wrong):
        first = wrong.iloc[0]
        raise InputError(
            f"{len(wrong):,} of the values in {what} are no IDs, the first one {first['value']} (row "
            f"{wrong.index[0]!r}, {first['problem']}), so they are not what was uploaded. {first['advice']}"
        )
    distinct = ids.unique()
    if not len(distinct):
        raise InputError(f"There is no ID in {what}. Give the IDs that were uploaded.")
    return distinct
