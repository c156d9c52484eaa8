"""Write posts.csv: synthetic posts to try the package on. Run ``python data/make_sample.py`` to make it again.

The bytes are the same on every machine: only `random.Random`, integers and the csv module are used.
"""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

ROWS = 2_000
SEED = 20_120_101
SNOWFLAKE_EPOCH_MS = 1_288_834_974_657
FIRST_MS = 1_325_376_000_000  # 2012-01-01
LAST_MS = 1_672_531_200_000  # 2023-01-01
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
COLUMNS = ("id", "author_id", "created_at", "text", "lat", "lon", "place")

WHO = ("Our walking group", "My neighbour", "The bakery", "A grey heron", "The night train", "Tante Zoé", "El mercado")
DID = (
    "opened early",
    "took the long way round",
    "was late again",
    "found a better path",
    "waited for the rain to stop",
)
WHERE = ("by the river", "near the old mill", "at the station", "in the park", "on the hill", "behind the café")
END = (".", "!", ", as usual.", ", which nobody expected.", ' and said "never again".', " ☀️", " …", " #smallnews")
PLACES = (("Sample Bay", 12, 34), ("Exampleton", -8, 115), ("Musterstadt", 50, 8), ("Villa Ejemplo", -34, -58))

# Row number -> what stands in place of its ID. The first three repeat the ID of the row before.
REPEATS = (100, 900, 1_500)
DIRTY = {
    250: "",
    600: "1.41785674431997E+18",
    750: "https://x.com/example/status/1100000000000000001",
    1_100: "'1100000000000000002",
    1_700: " 12345 ",
}


def posts() -> list[tuple[str, ...]]:
    """Return the rows, oldest first, then spoilt as `REPEATS` and `DIRTY` say."""
    random = Random(SEED)
    authors = [str(random.randrange(10**6, 10**9)) for _ in range(150)]
    authors += [str((random.randrange(10**14, 3 * 10**14) << 12) | random.randrange(4096)) for _ in range(150)]
    rows = [_post(random, authors, ms) for ms in sorted(_moments(random))]
    ids = [row[0] for row in rows]
    for number in REPEATS:
        ids[number] = ids[number - 1]
    for number, text in DIRTY.items():
        ids[number] = text
    return [(id, *row[1:]) for id, row in zip(ids, rows, strict=True)]


def _moments(random: Random) -> list[int]:
    return [random.randrange(FIRST_MS, LAST_MS) for _ in range(ROWS)]


def _post(random: Random, authors: list[str], ms: int) -> tuple[str, ...]:
    id = (ms - SNOWFLAKE_EPOCH_MS) << 22 | random.randrange(1 << 22)
    author = random.choice([author for author in authors if int(author) < id])  # an account is older than its posts
    created = (EPOCH + timedelta(seconds=ms // 1000)).strftime("%Y-%m-%dT%H:%M:%S") + f".{ms % 1000:03d}Z"
    text = f"{random.choice(WHO)} {random.choice(DID)} {random.choice(WHERE)}{random.choice(END)}"
    return (str(id), author, created, text, *_geo(random))


def _geo(random: Random) -> tuple[str, str, str]:
    """Return where the post was written; known for one in eight."""
    if random.randrange(8):
        return "", "", ""
    place, lat, lon = random.choice(PLACES)
    return f"{lat}.{random.randrange(10_000):04d}", f"{lon}.{random.randrange(10_000):04d}", place


def render() -> bytes:
    """Return the file's bytes."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(posts())
    return text.getvalue().encode("utf-8")


if __name__ == "__main__":
    Path(__file__).with_name("posts.csv").write_bytes(render())
