"""Where a post's place is kept: column names, and records in the cells of a column.

A name that is missed leaves geo data behind, a name too many costs a cell of a row whose author took the geo data
back. So everything below the objects that X calls ``geo``, ``coordinates`` and ``place`` counts, and `apply` says
which columns it took.
"""

from __future__ import annotations

import json
import re
from collections.abc import Hashable
from typing import Any

# X API v1.1 has `coordinates`, `place` and the older `geo` in a post:
# https://developer.x.com/en/docs/tweets/data-dictionary/overview/geo-objects and, for all three,
# https://developer.x.com/en/docs/x-api/enterprise/data-dictionary/native-enriched-objects/geo
# X API v2 has `geo` with `place_id` and `coordinates`, and the place itself in `includes.places`:
# https://developer.x.com/en/docs/x-api/data-dictionary/object-model/place
OBJECTS = ("geo", "coordinates", "place")

# As `_plain` writes them, so in any case and with dots, underscores or spaces. What lies below one of OBJECTS, such as
# twarc's geo.full_name or geo.geo.bbox (https://github.com/DocNow/twarc-csv, dataframe_converter.py) and rtweet's
# geo_coords, need not be listed.
NAMES = frozenset(
    {
        *OBJECTS,
        "country",  # these two: a place's, as rtweet and X's own objects name them
        "country_code",
        "coords_coords",  # https://docs.ropensci.org/rtweet/reference/lat_lng.html, these four
        "bbox_coords",
        "lat",
        "lng",
        "lon",  # guesses from here on: what people call the numbers that they take out of those objects
        "long",
        "latitude",
        "longitude",
        "bbox",
        "bounding_box",
        "geometry",  # the column of geopandas: https://geopandas.org/en/stable/docs/reference/geodataframe.html
    }
)
# A setting of the author's account, not a place: https://developer.x.com/en/docs/twitter-api/v1/data-dictionary
_NO_PLACE = frozenset({"geo_enabled"})
_BELOW = tuple(f"{name}_" for name in OBJECTS)
_MENTIONED = re.compile(r"""["'](geo|coordinates|places?)["']\s*:""")


def is_name(label: Hashable) -> bool:
    """Whether a column's name says that it holds a post's place.

    Examples
    --------
    >>> [is_name(name) for name in ("geo.place_id", "Geo_Full_Name", "placeId", ("geo", "coordinates"), "data.geo")]
    [True, True, True, True, True]
    >>> [is_name(name) for name in ("id", "author.location", "geography", "geo_enabled", 7)]
    [False, False, False, False, False]
    """
    name = _plain(label).removeprefix("data_")  # `data` is what X API v2 wraps a post in
    return (name in NAMES or name.startswith(_BELOW)) and name not in _NO_PLACE


def said(label: Hashable) -> str:
    """Return a column's name for people; the levels of a name with several are joined by dots.

    Examples
    --------
    >>> said("geo.id"), said(("geo", "id")), said(("compliance_status", ""))
    ('geo.id', 'geo.id', 'compliance_status')
    """
    return ".".join(str(part) for part in label if str(part)) if isinstance(label, tuple) else str(label)


def _plain(label: Hashable) -> str:
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", said(label))
    return re.sub(r"[^0-9a-z]+", "_", words.lower()).strip("_")


def may_be_record(cell: object) -> bool:
    """Whether a cell holds a record, or a text that looks like one."""
    if isinstance(cell, str):
        return cell.startswith("{") or (cell[:1].isspace() and cell.lstrip().startswith("{"))
    return isinstance(cell, dict)


def blanked(cell: Any) -> tuple[Any, bool]:
    """Return a cell with the geo objects of its record set to null, and whether it has a place for them.

    Parameters
    ----------
    cell : object
        A dict, or the JSON text of one, is a post or X API v2's answer about one. Posts within the post, such as a
        quoted one, are somebody else's and stay. A dict is copied, not changed; a text is written anew only if
        something in it changed.

    Raises
    ------
    ValueError
        The text mentions geo data and cannot be read as JSON.

    Examples
    --------
    >>> blanked({"id": "20", "geo": {"place_id": "01a9a39529b27f36"}})
    ({'id': '20', 'geo': None}, True)
    >>> blanked('{"id": 20, "place": {"name": "Ulm"}}')
    ('{"id": 20, "place": null}', True)
    >>> blanked("a text"), blanked({"likes": 3})
    (('a text', False), ({'likes': 3}, False))
    """
    if isinstance(cell, dict):
        return _blanked(cell)
    if not may_be_record(cell):
        return cell, False
    try:
        record = json.loads(cell)
    except (ValueError, RecursionError):
        if _MENTIONED.search(cell):
            raise ValueError("geo data in a text that is no JSON") from None
        return cell, False
    new, found = _blanked(record)
    if new == record:
        return cell, found
    text = json.dumps(new, ensure_ascii=cell.isascii())
    # Half of a character, which only an escape can write, cannot stand in a text as it is.
    return (json.dumps(new) if any("\ud800" <= letter <= "\udfff" for letter in text) else text), found


def _blanked(record: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    new, found = dict(record), False
    for key in OBJECTS:
        if key in new:
            new[key], found = None, True
    if isinstance(new.get("data"), dict):
        new["data"], inside = _blanked(new["data"])
        found |= inside
    if isinstance(new.get("includes"), dict) and "places" in new["includes"]:
        new["includes"], found = {**new["includes"], "places": []}, True
    return new, found
