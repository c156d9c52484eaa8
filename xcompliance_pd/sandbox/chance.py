"""What becomes of an ID when nobody said: a seeded hash of the ID decides, the same way every time.

The shares are those of 785,347 posts checked on 2022-05-16 (github.com/Kudusch/twCompliance, README), so a
sandbox run looks like a real corpus. They are hashed with numpy, so a million IDs take about a second.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..protocol import JobType

Ints = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]

# Percent. A deleted account takes its posts along, so the posts' share of "deleted" is 7.76 + 6.15.
_SHARES = {
    JobType.TWEETS: {"deleted": 13.91, "suspended": 25.33, "protected": 2.93, "deactivated": 0.04},
    JobType.USERS: {"deleted": 7.76, "suspended": 25.33, "protected": 2.93, "deactivated": 0.04},
}

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
    """

    seed: int = 0

    def lines(self, ids: Ints, type: JobType) -> list[bytes]:
        """Return one result line for each ID that is listed."""
        reasons, created, redacted = self._decide(ids, type)
        hit = np.flatnonzero(reasons >= 0)
        words = list(_SHARES[type])
        was, gone = _texts(created[hit], type), _texts(redacted[hit], type)
        lines = []
        for id, code, born, end in zip(ids[hit].tolist(), reasons[hit].tolist(), was, gone, strict=True):
            # Order of the keys, and redacted_at with "deleted" only: recorded 2021-11.
            removed = f'"redacted_at":"{end}",' if words[code] == "deleted" else ""
            text = f'{{"id":"{id}","action":"delete","created_at":"{born}",{removed}"reason":"{words[code]}"}}'
            lines.append(text.encode())
        return lines

    def verdicts(self, ids: Ints, type: JobType) -> pd.DataFrame:
        """Return status, action, reason and both times, one row for each ID in order."""
        reasons, created, redacted = self._decide(ids, type)
        listed = reasons >= 0
        deleted = reasons == list(_SHARES[type]).index("deleted")
        words = np.array([*_SHARES[type], None], dtype=object)  # index -1 is the None at the end
        return pd.DataFrame(
            {
                "status": np.array(["compliant", "action_required"], dtype=object)[listed.astype(int)],
                "action": np.array([None, "delete"], dtype=object)[listed.astype(int)],
                "reason": words[reasons],
                "created_at": _moments(created, listed),
                "redacted_at": _moments(redacted, deleted),
            }
        )

    def _decide(self, ids: Ints, type: JobType) -> tuple[Ints, Ints, Ints]:
        """Return each ID's reason (its position in the shares, -1 for none), created and redacted (ms)."""
        salt = 2 * self.seed + (type is JobType.USERS)
        start = _mix(np.array([salt & 0xFFFF_FFFF_FFFF_FFFF], dtype=np.uint64))
        first = _mix(ids.astype(np.uint64) ^ start)
        second, third = _mix(first), _mix(_mix(first))
        bounds = np.cumsum(list(_SHARES[type].values())) / 100
        place = np.searchsorted(bounds, _fraction(first), side="right")
        reasons = np.where(place < len(bounds), place, -1)
        created = _tweet_created(ids, second) if type is JobType.TWEETS else _user_created(ids, second)
        # Squared, because most deletions come early; an ID younger than the horizon goes within the hour.
        span = np.maximum(_HORIZON - created, 3_600_000) * _fraction(third) ** 2
        redacted = created + 1000 + span.astype(np.int64)
        if type is JobType.USERS:
            redacted -= redacted % 1000
        return reasons.astype(np.int64), created, redacted


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
