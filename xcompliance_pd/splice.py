"""JSON text and what is to be done where in it -> the text, in which everything else is what it was, byte for byte.

A record that is parsed and written anew has other spaces, other escapes, other notations of its numbers. So the places
are looked up in the text, and only they are touched.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

Path = tuple[str | int, ...]  # keys of objects and places in arrays, from the outermost object inwards


@dataclass(frozen=True, slots=True)
class Cut:
    """Take the element out of its array, or the member out of its object, with one comma."""


@dataclass(frozen=True, slots=True)
class Put:
    """Write another value in this one's place."""

    json: str


@dataclass(frozen=True, slots=True)
class Only:
    """Leave an object no other members than these."""

    keys: frozenset[str]


@dataclass(frozen=True, slots=True)
class Add:
    """Give an object one more member, as its last."""

    key: str
    json: str


Edit = Cut | Put | Only | Add
CUT, NULL = Cut(), Put("null")

_decoder = json.JSONDecoder()
_blank = re.compile(r"[ \t\n\r]*")
_Change = tuple[int, int, str]  # from, to, and what stands there instead


class _Item(NamedTuple):
    """An element, or a member with its key, and where it and its value stand in the text."""

    step: str | int
    begin: int
    value: int
    end: int


def spliced(text: str, edits: Mapping[Path, Edit]) -> str:
    """Return JSON text with some of its values cut out or changed.

    Parameters
    ----------
    text : str
        JSON that :func:`json.loads` reads, an object or an array, without a key that stands twice in one object.
    edits : mapping of path to edit
        What to do at each path. What lies below a value that goes, is replaced or keeps ``Only`` some of its members
        is not looked at any more.

    Returns
    -------
    str

    Raises
    ------
    KeyError
        There is nothing at a path.

    Examples
    --------
    >>> text = '{"data" : [ {"id":"20", "n":1.10}, {"id":"21"} ], "geo":{"a":1} , "n":1e2}'
    >>> spliced(text, {("data", 1): CUT, ("geo",): NULL})
    '{"data" : [ {"id":"20", "n":1.10} ], "geo":null , "n":1e2}'
    >>> spliced(text, {("data", 0): Only(frozenset({"n"})), ("data", 1): Add("m", "2"), ("geo",): CUT})
    '{"data" : [ {"n":1.10}, {"id":"21", "m": 2} ] , "n":1e2}'
    """
    tree = _Node()
    for path, edit in edits.items():
        tree.at(path).edit = edit
    changes = sorted(_changes(text, _past_blanks(text, 0), tree))
    kept, at = [], 0
    for begin, end, instead in changes:
        kept += [text[at:begin], instead]
        at = end
    return "".join([*kept, text[at:]])


class _Node:
    """What to do with a value, and with those in it."""

    __slots__ = ("below", "edit")

    def __init__(self) -> None:
        self.edit: Edit | None = None
        self.below: dict[str | int, _Node] = {}

    def at(self, path: Path) -> _Node:
        node = self
        for step in path:
            node = node.below.setdefault(step, _Node())
        return node


def _changes(text: str, at: int, node: _Node) -> Iterator[_Change]:
    """Yield what to change in the object or array that begins at `at`."""
    items, end = _items(text, at)
    if isinstance(node.edit, Only):
        keys = node.edit.keys
        yield from _cuts(items, {item.step for item in items if item.step not in keys})
        return
    there = {item.step for item in items}
    if missing := [step for step in node.below if step not in there]:
        raise KeyError(missing[0])
    gone = {step for step, below in node.below.items() if isinstance(below.edit, Cut)}
    yield from _cuts(items, gone)
    for item in items:
        below = node.below.get(item.step)
        if below is None or item.step in gone:
            continue
        if isinstance(below.edit, Put):
            yield item.value, item.end, below.edit.json
        else:
            yield from _changes(text, item.value, below)
    if isinstance(node.edit, Add):
        left = [item for item in items if item.step not in gone]
        comma = ", " if left else ""
        place = items[-1].end if items else end - 1
        yield place, place, f"{comma}{json.dumps(node.edit.key)}: {node.edit.json}"


def _cuts(items: list[_Item], gone: Iterable[str | int]) -> Iterator[_Change]:
    """Yield the stretches to leave out, each with the comma that nothing follows, or goes before, any more."""
    gone = set(gone)
    last: _Item | None = None  # the last one that stays
    stretch: list[_Item] = []
    for item in items:
        if item.step in gone:
            stretch.append(item)
        else:
            if stretch:
                yield (stretch[0].begin, item.begin, "") if last is None else (last.end, stretch[-1].end, "")
            last, stretch = item, []
    if stretch:
        yield (stretch[0].begin if last is None else last.end), stretch[-1].end, ""


def _items(text: str, at: int) -> tuple[list[_Item], int]:
    """Return the members of an object or the elements of an array, and where it ends."""
    kind = text[at]
    items: list[_Item] = []
    closing = {"{": "}", "[": "]"}[kind]
    at = _past_blanks(text, at + 1)
    while text[at] != closing:
        begin, step = at, len(items)
        key: Any = step
        if kind == "{":
            key, at = _decoder.raw_decode(text, at)
            at = _past_blanks(text, _past_blanks(text, at) + 1)  # the colon
        value = at
        _, at = _decoder.raw_decode(text, at)
        items.append(_Item(key, begin, value, at))
        at = _past_blanks(text, at)
        if text[at] == ",":
            at = _past_blanks(text, at + 1)
    return items, at + 1


def _past_blanks(text: str, at: int) -> int:
    found = _blank.match(text, at)
    return at if found is None else found.end()
