"""What was proved lately: how old a verdict may be, which batches still speak, and of which IDs.

X's answer ages, so nothing is reused unless somebody says how old it may be. What is reused is a proof that is on disk:
of a batch whose upload was confirmed here, of the same service and the same type. Results that rest on somebody's word,
of saved files and of jobs made elsewhere, never are.

*The time* that counts is the service's own, the Date of the confirmed upload, `checked_at`. The moment it is compared
with comes from this machine's clock until the service has answered in this process, from then on from the service's.
A clock that is fast makes verdicts look older, and more is sent. A clock that is slow would make them look younger; so
the moment is never earlier than the latest `checked_at` of the same service, and a `checked_at` that is more than
`TOLERANCE` after our own time is not fresh, because one of the two clocks is wrong and nothing tells which.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import google_crc32c
import numpy as np
import numpy.typing as npt
import pandas as pd

from . import verdicts
from .errors import InputError
from .ids import Ints
from .lifecycle import ATTACHED, Batch, Phase, RunRecord
from .protocol import JobType
from .results import judged

TOLERANCE = 300.0  # seconds that the service's clock may be ahead of ours
_AGE_MAX = 100 * 366 * 86_400.0  # seconds
_SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86_400, "w": 604_800}
_NAMES = (("d", "day"), ("h", "hour"), ("min", "minute"), ("s", "second"))
_AGE = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,6})?) ?(?:(s|sec|seconds?)|(min|minutes?)|(h|hours?)|(d|days?)|(w|weeks?))")


def seconds(max_age: object) -> float:
    """Return how old a verdict may be, in seconds.

    Parameters
    ----------
    max_age : str or timedelta
        A number and a unit (``"90min"``, ``"24h"``, ``"7d"``, ``"2w"``), a `pandas.Timedelta` or a
        `datetime.timedelta`.

    Raises
    ------
    InputError
        It is something else, not longer than nothing, or longer than 100 years. A bare number names no unit, and "m"
        could be minutes or months, so both are refused.

    Examples
    --------
    >>> import pandas as pd
    >>> seconds("24h"), seconds("90 min"), seconds(pd.Timedelta(days=7))
    (86400.0, 5400.0, 604800.0)
    """
    found = None
    if isinstance(max_age, str) and (match := _AGE.fullmatch(max_age.strip().lower())):
        unit = next(name for name, word in zip(_SECONDS, match.groups()[1:], strict=True) if word)
        found = float(match[1]) * _SECONDS[unit]
    elif isinstance(max_age, timedelta):  # a pandas.Timedelta is one
        found = max_age.total_seconds()
    if found is None or not 0 < found <= _AGE_MAX:
        raise InputError(
            f"max_age={str(max_age)[:40]!r} tells no age. Give a number and a unit, s, min, h, d or w: "
            "max_age='24h', max_age='7d'; or a pandas.Timedelta. It must be more than nothing, and at most 100 years."
        )
    return found


def told(age: float) -> str:
    """Return an age in words.

    Examples
    --------
    >>> told(86_400), told(7 * 86_400), told(5400), told(3600), told(1.5)
    ('24 hours', '7 days', '90 minutes', '1 hour', '1.5 seconds')
    """
    for unit, word in _NAMES:
        count = age / _SECONDS[unit]
        if count == int(count) and (unit != "d" or count > 1):  # people say 24 hours
            return f"{int(count):,} {word}{'' if count == 1 else 's'}"
    return f"{age:,} seconds"


# --------------------------------------------------------------------------- which batches still speak


def latest(runs: Iterable[RunRecord], base_url: str) -> float:
    """Return the latest time that a service told by a `checked_at`; 0 if it never did."""
    return max((b.checked_at or 0.0 for run in runs if run.base_url == base_url for b in run.batches), default=0.0)


def speaking(
    runs: Iterable[RunRecord], base_url: str, type: JobType, max_age: float, now: float
) -> list[tuple[RunRecord, Batch]]:
    """Return the batches whose results are not older than `max_age`, the newest first.

    Parameters
    ----------
    runs : iterable of RunRecord
    base_url : str
        The service: what another one said, a sandbox for example, is nothing to go by.
    type : JobType
        An ID's number may be both a post's and a user's.
    max_age : float
        Seconds.
    now : float
        The service's time as far as it is known.
    """
    runs = [run for run in runs if run.base_url == base_url]
    moment = max(now, latest(runs, base_url))
    found = [
        (run, batch)
        for run in runs
        if run.type == type
        for batch in run.batches
        if batch.phase is Phase.DONE
        and batch.upload_proof != ATTACHED  # that holds on somebody's word
        and batch.checked_at is not None
        and moment - max_age <= batch.checked_at <= now + TOLERANCE
    ]

    def when(pair: tuple[RunRecord, Batch]) -> tuple[float, float]:
        return pair[1].checked_at or 0.0, pair[0].created_at  # a Date tells whole seconds only

    return sorted(found, key=when, reverse=True)


def decided(ids: Ints, findings: pd.DataFrame, proved: bool) -> Ints:
    """Return which IDs of a batch have a verdict, ascending: those listed with one and, if absence was proved, those
    that are not listed at all. An ID of which X only says that there was an error has none.

    Examples
    --------
    >>> import numpy as np
    >>> from xcompliance_pd import results
    >>> lines = [b'{"id":"2","action":"delete","reason":"deleted"}\\n{"id":"3","error":"internal_error"}\\n']
    >>> findings = results.read(lines).findings
    >>> [decided(np.array([1, 2, 3]), findings, proved).tolist() for proved in (True, False)]
    [[1, 2], [2]]
    """
    place = verdicts.locate(ids, findings["id"].to_numpy())
    verdict = judged(findings).to_numpy(dtype=bool)
    chosen = np.zeros(len(ids), dtype=np.bool_)
    if proved:
        chosen[:] = True
        chosen[place[place >= 0]] = False
    chosen[place[(place >= 0) & verdict]] = True
    return ids[chosen]


# --------------------------------------------------------------------------- the index of a batch

# What is in it, of which files, and a checksum over all of it; padded, so that the numbers lie as a processor likes it.
_HEAD = struct.Struct("<16s32s32sQ")
_SIZE = 128
_MAGIC = b"xcpd decided 1\n"


def index(ids: Ints, batch: Batch) -> tuple[bytes, memoryview]:
    """Return the bytes of the file that says of which IDs a batch has a verdict: its head, and the numbers."""
    numbers = np.ascontiguousarray(ids, dtype="<i8")
    head = _head(batch, len(ids))
    return (head + _checksum(head, numbers)).ljust(_SIZE, b"\0"), numbers.data.cast("B")


def read_index(data: npt.NDArray[np.uint8], batch: Batch) -> Ints | None:
    """Return the IDs in the bytes of such a file, as a view; None if it is damaged, or of other files.

    Examples
    --------
    >>> import numpy as np
    >>> batch = Batch(1, 2, "00" * 32, "", 4, results_sha256="11" * 32)
    >>> data = np.frombuffer(b"".join(index(np.array([20, 21]), batch)), dtype=np.uint8)
    >>> read_index(data, batch).tolist(), read_index(data[:-1], batch)
    ([20, 21], None)
    """
    if len(data) < _SIZE or (len(data) - _SIZE) % 8:
        return None
    head, numbers = data[: _HEAD.size].tobytes(), data[_SIZE:].view("<i8")
    if head != _head(batch, len(numbers)):
        return None
    if data[_HEAD.size : _HEAD.size + 4].tobytes() != _checksum(head, numbers):
        return None
    return numbers


def _head(batch: Batch, count: int) -> bytes:
    sent, said = bytes.fromhex(batch.ids_sha256), bytes.fromhex(batch.results_sha256 or "")
    return _HEAD.pack(_MAGIC, sent, said, count)


def _checksum(head: bytes, numbers: npt.NDArray[Any]) -> bytes:
    numbers = numbers.view()
    numbers.flags.writeable = False  # else it would have to be copied
    value: int = google_crc32c.extend(google_crc32c.value(head), numbers)
    return value.to_bytes(4, "little")
