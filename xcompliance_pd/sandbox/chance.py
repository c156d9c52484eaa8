"""What becomes of an ID when nobody said: a seeded hash of the ID decides, the same way every time.

The shares are those of 785,347 posts checked on 2022-05-16 (github.com/Kudusch/twCompliance, README), so a
sandbox run looks like a real corpus. They are hashed with numpy, so a million IDs take about a second.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..protocol import JobType
from .dialects import Dialect

Ints = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]


class Kind(NamedTuple):
    """What a record says: an action with its reason, or without an action an error; and the percentage it comes to."""

    action: str | None
    word: str
    share: float


# A deleted account takes its posts along, so the posts' share of "deleted" is 7.76 + 6.15.
_OLDER = {
    JobType.TWEETS: (
        Kind("delete", "deleted", 13.91),
        Kind("delete", "suspended", 25.33),
        Kind("delete", "protected", 2.93),
        Kind("delete", "deactivated", 0.04),
    ),
    JobType.USERS: (
        Kind("delete", "deleted", 7.76),
        Kind("delete", "suspended", 25.33),
        Kind("delete", "protected", 2.93),
        Kind("delete", "deactivated", 0.04),
    ),
}
# Words of September 2026 (pull request 410). Their shares are made up: enough to be met in any sample.
_NEWER = {
    JobType.TWEETS: (
        Kind("scrub_geo", "geo_scrubbed", 1.5),
        Kind("rehydrate", "tweet_edited", 1.5),
        Kind(None, "invalid_id", 0.5),
    ),
    JobType.USERS: (Kind(None, "invalid_id", 0.5),),
}
_MANNERS = 8  # of writing the same in the newer dialect; of these two are unlike the older one's

SNOWFLAKE_EPOCH = 1_288_834_974_657  # ms; docs.x.com/fundamentals/x-ids
_FIRST_SNOWFLAKE_TWEET = 29_700_859_247
_FIRST_SNOWFLAKE_USER = 10**15  # older user IDs were counted up and stay far below; snowflake ones begin far above
_OPENED = 1_142_899_200_000  # 2006-03-21, ms: the first post
_SNOWFLAKE_BEGAN = 1_288_828_800_000  # 2010-11-04, ms
_SNOWFLAKE_USERS = 1_448_928_000_000  # 2015-12-01, ms: about when user IDs became snowflakes
_HORIZON = 1_704_067_200_000  # 2024-01-01, ms: fixed, so that a fate does not change with the day it is asked on


def snowflake(milliseconds: int) -> int:
    """Return the first snowflake ID of that moment."""
    return (milliseconds - SNOWFLAKE_EPOCH) << 22


@dataclass(frozen=True)
class Chance:
    """Fates by hash.

    Parameters
    ----------
    seed : int
        Another seed, other fates.
    dialect : Dialect
        The newer one has more words, and more ways to say the same.
    """

    seed: int = 0
    dialect: Dialect = Dialect.GCS

    def lines(self, ids: Ints, type: JobType) -> list[bytes]:
        """Return the result lines of the IDs that are listed: one each, in the newer dialect sometimes two."""
        codes, created, redacted, manners = self._decide(ids, type)
        hit = np.flatnonzero(codes >= 0)
        kinds = self._kinds(type)
        was, gone = _texts(created[hit], type), _texts(redacted[hit], type)
        lines = []
        rows = zip(ids[hit].tolist(), codes[hit].tolist(), was, gone, manners[hit].tolist(), strict=True)
        for id, code, born, end, manner in rows:
            lines += _records(id, kinds[code], born, end, manner, type)
        return lines

    def verdicts(self, ids: Ints, type: JobType) -> pd.DataFrame:
        """Return status, action, reason and both times, one row for each ID in order."""
        codes, created, redacted, _ = self._decide(ids, type)
        words: list[tuple[str, str | None, str | None]] = [
            ("action_required" if kind.action else "unchecked", kind.action, kind.word)  # an error says nothing
            for kind in self._kinds(type)
        ]
        table = pd.DataFrame([*words, ("compliant", None, None)], columns=["status", "action", "reason"], dtype=object)
        table = table.iloc[codes].reset_index(drop=True)  # code -1 is the last
        table["created_at"] = _moments(created, table["action"].notna().to_numpy())
        table["redacted_at"] = _moments(redacted, table["reason"].eq("deleted").to_numpy())
        return table

    def _kinds(self, type: JobType) -> tuple[Kind, ...]:
        return _OLDER[type] + (_NEWER[type] if self.dialect is Dialect.XAPI else ())

    def _decide(self, ids: Ints, type: JobType) -> tuple[Ints, Ints, Ints, Ints]:
        """Return each ID's kind (its position, -1 for none), created and redacted (ms), and the manner of saying it."""
        salt = 2 * self.seed + (type is JobType.USERS)
        start = _mix(np.array([salt & 0xFFFF_FFFF_FFFF_FFFF], dtype=np.uint64))
        first = _mix(ids.astype(np.uint64) ^ start)
        second, third = _mix(first), _mix(_mix(first))
        bounds = np.cumsum([kind.share for kind in self._kinds(type)]) / 100
        place = np.searchsorted(bounds, _fraction(first), side="right")
        codes = np.where(place < len(bounds), place, -1)
        created = _tweet_created(ids, second) if type is JobType.TWEETS else _user_created(ids, second)
        # Squared, because most deletions come early; an ID younger than the horizon goes within the hour.
        span = np.maximum(_HORIZON - created, 3_600_000) * _fraction(third) ** 2
        redacted = created + 1000 + span.astype(np.int64)
        if type is JobType.USERS:
            redacted -= redacted % 1000
        newer = self.dialect is Dialect.XAPI
        manners = (_mix(third) % np.uint64(_MANNERS)).astype(np.int64) if newer else np.full(len(ids), -1)
        return codes.astype(np.int64), created, redacted, manners


def _records(id: int, kind: Kind, born: str, end: str, manner: int, type: JobType) -> list[bytes]:
    """Write one ID's records; a manner below 0 is the older dialect's.

    Order of the keys, and a time of redaction with "deleted" only: recorded 2021-11. Of the newer dialect only what
    occurs is known, not when: a time of redaction that is null, its other name, and several events for one ID.
    """
    if kind.action is None:
        return [f'{{"id":"{id}","error":"{kind.word}"}}'.encode()]
    deleted = kind.word == "deleted"
    removed = f'"redacted_at":"{end}",' if deleted else ""
    if manner == 0:
        removed = f'"deleted_at":"{end}",' if deleted else '"redacted_at":null,'
    head = f'{{"id":"{id}","action":'
    line = f'{head}"{kind.action}","created_at":"{born}",{removed}"reason":"{kind.word}"}}'
    if manner != 1 or not deleted:
        return [line.encode()]
    action, reason = ("rehydrate", "tweet_edited") if type is JobType.TWEETS else ("delete", "deactivated")
    less = f'{head}"{action}","created_at":"{born}","redacted_at":null,"reason":"{reason}"}}'
    return [less.encode(), line.encode()]


def _tweet_created(ids: Ints, hashed: Words) -> Ints:
    # Equal to the snowflake's time to the millisecond in 20 of 20 records (recorded 2021-11).
    early = _between(_OPENED, _SNOWFLAKE_BEGAN, hashed)
    return np.where(ids >= _FIRST_SNOWFLAKE_TWEET, (ids >> 22) + SNOWFLAKE_EPOCH, early)


def _user_created(ids: Ints, hashed: Words) -> Ints:
    # Close to the snowflake's time but not computed from it: some fall in the next second (recorded 2021-11).
    near = (ids >> 22) + SNOWFLAKE_EPOCH + (hashed % np.uint64(1000)).astype(np.int64)
    early = _between(_OPENED, _SNOWFLAKE_USERS, hashed)
    moment: Ints = np.where(ids >= _FIRST_SNOWFLAKE_USER, near, early)
    return moment - moment % 1000


def _between(start: int, stop: int, hashed: Words) -> Ints:
    moment: Ints = (start + _fraction(hashed) * (stop - start)).astype(np.int64)
    return moment - moment % 1000


def _mix(words: Words) -> Words:
    """splitmix64 (Steele, Lea, Flood 2014): cheap, and neighbouring IDs land far apart."""
    words = words + np.uint64(0x9E3779B97F4A7C15)
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))


def _fraction(words: Words) -> npt.NDArray[np.float64]:
    return (words >> np.uint64(11)).astype(np.float64) / 2.0**53


def _texts(milliseconds: Ints, type: JobType) -> list[str]:
    """Format as tweets jobs (``...SS.mmmZ``) or users jobs (``...SS+00:00``) do (recorded 2021-11)."""
    moments = milliseconds.astype("datetime64[ms]")
    if type is JobType.TWEETS:
        return [text + "Z" for text in np.datetime_as_string(moments, unit="ms").tolist()]
    return [text + "+00:00" for text in np.datetime_as_string(moments.astype("datetime64[s]"), unit="s").tolist()]


def _moments(milliseconds: Ints, known: npt.NDArray[np.bool_]) -> pd.Series:
    moments = milliseconds.astype("datetime64[ms]")
    moments[~known] = np.datetime64("NaT")
    return pd.Series(moments).dt.tz_localize("UTC").dt.as_unit("us")
