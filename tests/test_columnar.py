"""The readers agree: by columns, many lines at once, and line by line."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import plain_results as plain
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xcompliance_pd import layouts, results
from xcompliance_pd.results import read

POST = b'{"id":"%s","action":"delete","created_at":"%s","reason":"%s"}'
USER = b'{"id":"%s","action":"delete","created_at":"%s","redacted_at":"%s","reason":"%s"}'
GEO = b'{"id":"%s","action":"scrub_geo","created_at":"%s","reason":"geo_scrubbed"}'
REASONS = (b"deleted", b"suspended", b"protected", b"deactivated", b"bounced", b"tweet_edited")


def moment(chance: random.Random, ending: bytes) -> bytes:
    day = np.datetime64("2006-03-21T20:50:14") + chance.randrange(2**29)
    return str(day).encode() + ending.replace(b"mmm", b"%03d" % chance.randrange(1000))


def documented(chance: random.Random, count: int) -> list[bytes]:
    """Return lines as X writes them: posts with milliseconds, users with an offset; some with a redaction."""
    ending = chance.choice([b".mmmZ", b"+00:00"])
    lines = []
    for _ in range(count):
        number = b"%d" % chance.randrange(1, 10 ** chance.choice([1, 2, 8, 9, 18, 19]) % 2**63)
        created, redacted = moment(chance, ending), moment(chance, ending)
        kind = chance.randrange(4)
        if kind == 0:
            lines.append(USER % (number, created, redacted, chance.choice(REASONS)))
        elif kind == 1:
            lines.append(GEO % (number, created))
        else:
            lines.append(POST % (number, created, chance.choice(REASONS)))
    return lines


def blocks(data: bytes, chance: random.Random) -> Iterator[bytes]:
    """Cut anywhere, also into empty blocks and in the middle of a line."""
    place = 0
    while place < len(data):
        size = chance.choice([0, 1, 7, 64, 1000, len(data)])
        yield data[place : place + size]
        place += size


def agree(data: bytes, pieces: Any = None) -> results.Results:
    """Both readers say the same of a file, in every type, category and missing value."""
    fast, slow = read([data] if pieces is None else pieces), plain.read(data)
    assert (fast.lines, fast.bad, fast.bad_count) == (slow.lines, slow.bad, slow.bad_count)
    pd.testing.assert_frame_equal(fast.findings, slow.findings)
    for name in ("action", "reason"):
        assert fast.findings[name].dtype == slow.findings[name].dtype
    for name in ("error", "extra"):
        assert fast.findings[name].tolist() == slow.findings[name].tolist()
    return fast


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The lines that were read by themselves."""
    seen: list[bytes] = []
    record = results._record
    monkeypatch.setattr(results, "_record", lambda line: (seen.append(line), record(line))[1])
    return seen


@pytest.fixture
def parsed(alone: list[bytes], monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The lines that were not read as columns: by themselves, or many at once."""
    parse = results._parse
    monkeypatch.setattr(results, "_parse", lambda lines: (alone.extend(lines), parse(lines))[1])
    return alone


# --------------------------------------------------------------------------- what the columns are for


FORMS: dict[str, Callable[[bytes], bytes]] = {
    "as recorded": lambda line: line,
    "spaces": lambda line: line.replace(b'":"', b'": "').replace(b'","', b'", "'),
    "carriage returns": lambda line: line + b"\r",
    "another order": lambda line: (
        b'{"reason":' + line[:-1].partition(b',"reason":')[2] + b"," + line[1:].partition(b',"reason":')[0] + b"}"
    ),
    "ID last": lambda line: b"{" + line[1:-1].partition(b",")[2] + b"," + line[1:].partition(b",")[0] + b"}",
    "deleted_at": lambda line: line.replace(b"redacted_at", b"deleted_at"),
    "null": lambda line: (
        line if b"redacted_at" in line else line.replace(b',"reason"', b',"redacted_at":null,"reason"')
    ),
    "unknown words": lambda line: line.replace(b"deleted", b"d\xc3\xa9l\xc3\xa9t\xc3\xa9").replace(
        b'"delete"', b'"fold"'
    ),
    "unknown key": lambda line: line[:-1] + b',"v":"1"}',
    "no action": lambda line: line.replace(b'"action":"delete",', b""),
    "errors": lambda line: line.replace(b'"reason":', b'"error":'),
    "blank line": lambda line: line + b"\n",
}


@pytest.mark.parametrize("form", FORMS)
def test_lines_like_one_another_are_read_as_columns(form: str, parsed: list[bytes]) -> None:
    """Of a file in any constant form only one line of each layout is parsed."""
    data = b"".join(FORMS[form](line) + b"\n" for line in documented(random.Random(form), 3000))
    findings = read([data]).findings
    assert len(findings) == 3000
    assert len(parsed) <= 2 * len(REASONS) + 1, "one for each reason, with and without redaction, and geo"
    agree(data)


def test_errors_alone_are_read_as_columns(parsed: list[bytes]) -> None:
    """So are records that hold nothing but an ID and X's word for what is wrong."""
    findings = read([b"".join(b'{"id":"%d","error":"invalid_id"}\n' % number for number in range(1, 2000))]).findings
    assert findings["id"].tolist() == list(range(1, 2000))
    assert set(findings["error"]) == {"invalid_id"}
    assert len(parsed) == 1


@pytest.mark.parametrize("work", [64, 1000, 1 << 22])
def test_documented_files_in_blocks(work: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a file is cut into blocks, and how much is worked on at once, does not matter."""
    monkeypatch.setattr(results, "WORK", work)
    for seed in range(8):
        chance = random.Random(seed)
        data = b"\n".join(documented(chance, 60)) + chance.choice([b"", b"\n", b"\r\n\n"])
        agree(data, blocks(data, chance))


def test_a_line_that_differs_is_put_in_its_place() -> None:
    """Findings keep the order of the file, whoever read them, and bad lines their numbers."""
    odd = [b'{"id":11}', b'{"id":"12","x":{"id":"13"}}', b'{"id":"014"}', b"", b'{"id":"15","action":"d\\u0065lete"}']
    lines = [line for each in odd for line in (*documented(random.Random(3), 9), each)]
    found = agree(b"\n".join(lines))
    assert found.findings["id"].tolist()[9::10][:2] == [11, 12]
    assert [number for number, _ in found.bad] == [30]


# --------------------------------------------------------------------------- where the columns must not be used

LINE = USER % (b"1228393702244134912", b"2020-02-14T19:00:55.723Z", b"2021-02-28T23:59:59.999Z", b"deleted")


ID, CREATED, REASON = b"1228393702244134912", b"2020-02-14T19:00:55.723Z", b'"deleted"'
IDS = [
    *(b"", b"0", b"00", b"01", b"1", b"12", b"123456789", b"999999999999999999", b"9223372036854775807"),
    *(b"9223372036854775808", b"9999999999999999999", b"10000000000000000000", b"1" * 40, b"-1", b"+1", b"1.0"),
    *(
        b" 1",
        b"1 ",
        b"1_000",
        b"1e3",
        b"12a",
        b"a12",
        b"\\u0031",
        b"\xd9\xa1",
        b'1","id":"2',
        b"1\x00",
        b":",
        b"/",
        b"1\n",
    ),
]
TIMES = [
    *(b"2020-02-29T00:00:00.000Z", b"2019-02-29T00:00:00.000Z", b"2000-02-29T00:00:00.000Z", b""),
    *(b"1900-02-29T00:00:00.000Z", b"2020-02-30T00:00:00.000Z", b"2020-04-31T00:00:00.000Z"),
    *(b"2020-13-01T00:00:00.000Z", b"2020-00-01T00:00:00.000Z", b"2020-01-00T00:00:00.000Z"),
    *(b"2020-01-32T00:00:00.000Z", b"2020-01-01T24:00:00.000Z", b"2020-01-01T23:60:00.000Z"),
    *(b"2020-12-31T23:59:60.000Z", b"2020-12-31T10:60:00.000Z", b"2020-12-31T10:10:60.000Z"),
    *(b"0000-01-01T00:00:00.000Z", b"0000-12-31T00:00:00.000Z", b"0001-01-01T00:00:00.000Z"),
    *(b"9999-12-31T23:59:59.999Z", b"9999-12-32T23:59:59.999Z", b"1582-10-10T00:00:00.000Z"),
    *(b"1969-12-31T23:59:59.999Z", b"1970-01-01T00:00:00.000Z", b"2020-02-14T19:00:55.72:Z"),
    *(b"2020-02-14T19:00:55.7 3Z", b"2020-02-14T19:00:55.723z", b"2020-02-14 19:00:55.723Z"),
    *(b"2020-02-14T19:00:5\x00.723Z", b"2020-02-14T19:00:55.723+", b"20a0-02-14T19:00:55.723Z"),
    *(b"2020-02-14T19:00:55Z", b"2020-02-14T19:00:55+00:00", b"2020-02-14T19:00:55.7Z"),
    *(b"2020-02-14T19:00:55.723456Z", b"2020-02-14T19:00:55+01:00", b"2020-02-14T19:00:55.723+00:00"),
]
WORDS = [b"null", b'"suspended"', b'"deletee"', b'"\\ud800"', b'""', b'"\xff"', b"1", b'"deleted","x":NaN']
WHOLE = [
    *(LINE + b"\r", b" " + LINE, LINE + b" ", LINE[:-1], LINE[1:], LINE + b"}", LINE + b"," + LINE, LINE + LINE),
    *(b"\xef\xbb\xbf" + LINE, LINE + b"\x0b", LINE + b"\xe2\x80\xa8", LINE + b"x" * 600, LINE.upper()),
    *(LINE.replace(b",", b", "), LINE.replace(b"redacted_at", b"deleted_at"), LINE.replace(b'"reas', b'"\\u0072eas')),
    *(
        LINE.replace(b"redacted_at", b"created_at"),
        LINE.replace(b'"2021-', b'"2021\x00'),
        LINE[:-1] + b',"x":{"id":"6"}}',
    ),
    *(b'{"x":' + LINE + b"}", b'{"x":' + LINE + b',"id":"5"}', LINE[:-1] + b',"deleted_at":null}'),
    *(LINE[:-1] + b',"deleted_at":"2020-0%d-01T00:00:00Z"}' % month for month in (0, 1)),
]
NEAR = [
    *((ID, number) for number in IDS),
    *((CREATED, time) for time in TIMES),
    *((REASON, word) for word in WORDS),
    *((LINE, line) for line in WHOLE),
]


@pytest.mark.parametrize(("old", "new"), NEAR)
def test_near_misses(old: bytes, new: bytes) -> None:
    """Whatever is put in the place of an ID, a time, a word or a line: it is read as it would be by itself."""
    assert LINE.count(old) == 1
    near = LINE.replace(old, new)
    for lines in ([LINE, near, LINE, b""], [near, LINE, near, near, b""], [LINE, near]):
        agree(b"\n".join(lines))


def test_a_layout_grows_no_line_beyond_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line is over-long by its own length, however short the line was from which its layout was learned."""
    short, long = LINE.replace(b"1228393702244134912", b"7"), LINE
    for limit in range(len(short) - 2, len(long) + 3):
        monkeypatch.setattr(results, "LINE_MAX", limit)
        agree(b"\n".join([short, long, short]))


@pytest.mark.parametrize("end", [b"", b"x", b" x", LINE, b"\n" + LINE])
def test_over_long_blanks(end: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line of blanks beyond the limit is blank only if it is blank to its end."""
    monkeypatch.setattr(results, "LINE_MAX", 50)
    monkeypatch.setattr(results, "WORK", 20)
    data = b"\n" + b" " * 90 + end
    agree(data, [data[place : place + 7] for place in range(0, len(data), 7)])


def test_more_layouts_than_are_kept(parsed: list[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    """Of words without end only so many layouts are learned, and nothing is lost."""
    monkeypatch.setattr(results, "SHARE_MIN", 0)
    data = b"".join(b'{"id":"%d","reason":"r%d"}\n' % (number, number % 90) for number in range(1, 1800))
    read([data])
    assert len(parsed) >= 1799 - 20 * results.LAYOUTS_MAX
    agree(data, [data[:15000], data[15000:]])


def test_lines_like_no_other(parsed: list[bytes]) -> None:
    """A few lines that are like no other keep nobody from learning the layout of the rest."""
    lines = [b'{"id":"%d","reason":"r%d"}\n' % (number, number) for number in range(1, 50)]
    data = b"".join(each + (LINE + b"\n") * 20 for each in lines)
    assert read([data]).findings["id"].value_counts().loc[int(ID)] == 49 * 20
    assert len(parsed) == len(lines) + 1
    agree(data)


# --------------------------------------------------------------------------- many lines at once


def deviating(chance: random.Random, count: int) -> list[bytes]:
    """Return sound lines that no layout fits: keys in any order, blanks, escapes, other types, keys of their own."""
    lines = []
    for line in documented(chance, count):
        pairs = [*json.loads(line).items()]
        kind = chance.randrange(8)
        if kind in (0, 1, 2):
            pairs.append((chance.choice(["note", "x", "\u00e9", ""]), f"{chance.getrandbits(40):x}"))
        elif kind == 3:
            pairs.append(("x", chance.choice(EXTRAS)))
        elif kind == 4:
            pairs[0] = ("id", int(pairs[0][1]))
        elif kind == 5:
            pairs.append((chance.choice(["error", "deleted_at", "redacted_at"]), chance.choice([None, pairs[2][1]])))
        if kind % 2 and len(dict(pairs)) == len(pairs):
            chance.shuffle(pairs)
        blank = chance.choice(["", "", " ", "\t"])
        text = json.dumps(dict(pairs), ensure_ascii=chance.random() < 0.5, separators=("," + blank, ":" + blank))
        if chance.randrange(4) == 0:
            text = text.replace('"delete"', '"d\\u0065lete"')
        lines.append((text + chance.choice(["", "", "", " ", "\r"])).encode())
    return lines


EXTRAS: list[Any] = [
    *(1, -0.5, 1e300, True, None, "", "a,b", "a:b", '"', "\\", "\n", ",\n", "},\n{", "},{", "\U0001f600", "\u2028"),
    *([], {}, [1, 2], {"y": {"z": [None]}}, {"y": 1, "z": ","}, "a" * 900),
]
FORMS_APART: dict[str, Callable[[random.Random, bytes], str]] = {
    "any order, with blanks": lambda chance, line: json.dumps(
        dict(chance.sample([*json.loads(line).items()], len(json.loads(line))))
    ),
    "a key of its own": lambda chance, line: line[:-1].decode() + f',"note":"{chance.getrandbits(40):x}"}}',
    "a list of its own": lambda chance, line: line[:-1].decode() + f',"x":[{{"y":{chance.random()}}},"a,b"]}}',
    "escapes": lambda chance, line: line[:-1].decode() + f',"note":"\\n\\"\\u00e9\\ud83d\\ude00{chance.random()}"}}',
    "an ID that is a number": lambda chance, line: (
        line.replace(b'"id":"', b'"id":').replace(b'","act', b',"act').decode()
    ),
    "deleted_at": lambda chance, line: (
        line[:-1].replace(b"redacted", b"deleted").decode() + f',"note":"{chance.random()}"}}'
    ),
}


@pytest.mark.parametrize("form", FORMS_APART)
def test_lines_like_no_other_are_parsed_together(form: str, alone: list[bytes]) -> None:
    """Of a file whose lines are all sound but unlike, hardly any line is read by itself."""
    chance = random.Random(form)
    data = "".join(FORMS_APART[form](chance, line) + "\n" for line in documented(chance, 3000)).encode()
    assert len(read([data]).findings) == 3000
    assert len(alone) <= results.VAIN_MAX + results.LAYOUTS_MAX * 2
    agree(data)


@pytest.mark.parametrize("seed", range(40))
def test_deviating_files(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines that are sound in their own ways are read as by themselves, with or without odd ones between them."""
    chance = random.Random(seed)
    monkeypatch.setattr(results, "VAIN_MAX", chance.choice([0, 8]))
    monkeypatch.setattr(results, "TOGETHER", chance.choice([2, 7, 100, 2048]))
    lines = deviating(chance, 150)
    for _ in range(chance.choice([0, 1, 10])):
        lines.insert(chance.randint(0, len(lines)), chance.choice(ODD))
    data = b"\n".join(lines)
    agree(data, blocks(data, chance))


GOOD = b'{"id":"7","reason":"deleted"}'
ODD = [
    # several items, or half of one: with the right neighbour all of these make sound lists
    *(
        GOOD + b"," + GOOD,
        GOOD + b",NaN," + GOOD,
        GOOD + b"]",
        b"[" + GOOD,
        GOOD + b"],[" + GOOD,
        GOOD + b",",
        b"," + GOOD,
    ),
    *(
        b'{"id":"1","x":[',
        b"]}",
        b'{"id":"1","x":{"y":',
        b"1}}",
        b'{"id":"1","x":"',
        b'"}',
        b'"y":1}',
        b'{"id":"1"',
        b"}",
    ),
    *(
        b'{"id":"1","x":[' + GOOD,
        GOOD + b"]}",
        b'{"id":"1","x":["',
        b'"]}',
        GOOD + GOOD,
        GOOD + b" " + GOOD,
        b'{"id":"1",',
    ),
    *(
        b'{"id":"1"}],NaN,[{"id":"2"}',
        b'{"id":"1","x":[1],"y":[',
        b"],NaN",
        b"NaN,[",
        b'{"id":"1","x":"\\',
        b"{",
        b"[",
        b"]",
    ),
    # no object, or none with an ID
    *(
        b"",
        b" ",
        b"\r",
        b"\x0b",
        b"\xc2\xa0",
        b"{}",
        b"[]",
        b"null",
        b"1",
        b'"a"',
        b"NaN",
        b"Infinity",
        b"[{}]",
        b'{"x":1}',
    ),
    *(
        b'{"id":%s}' % value
        for value in (b"null", b"true", b"1.0", b"1e3", b"0", b"-1", b'"01"', b'""', b'"\xd9\xa1"', b"[]")
    ),
    *(b'{"id":%d}' % value for value in (2**63 - 1, 2**63, 10**30)),
    # keys that occur twice, and what makes up for them
    *(b'{"id":"1","id":"1"}', b'{"id":"1","i\\u0064":"2"}', b'{"id":"1","x":1,"x":2}', b'{"id":"1","x":{"y":1,"y":1}}'),
    *(
        b'{"id":"1","x":[{"y":1,"y":2}]}',
        b'{"id":"1","x":"a,b"}',
        b'{"id":"1","x":"a,b","x":1}',
        b'{"id":"1","x":[1,2,3]}',
    ),
    # what JSON is not
    *(
        b'{"id":"1","x":NaN}',
        b'{"id":"1","x":-Infinity}',
        b'{"id":"1","x":Infinity}',
        b'{"id":"1","x":"NaN"}',
        b"{'id':'1'}",
    ),
    *(
        b'{"id":"1",}',
        b'{"id":"1"}//',
        b'{"id":"1","x":01}',
        b'{"id":"1","x":"\t"}',
        b'{"id":"1","x":"\x00"}',
        GOOD + b"\x0b",
    ),
    *(b"\xef\xbb\xbf" + GOOD, b'{"id":"1","x":"\xff"}', b'{"id":"1","x":"\xed\xa0\x80"}', b'{"id":"1","x":"\\x"}'),
    # words, times and keys that are none, or that no column takes
    *(
        b'{"id":"1","action":%s}' % value
        for value in (b"1", b"0", b"false", b"[]", b'""', b'"\\ud800"', b'"\\ud83d\\ude00"')
    ),
    *(b'{"id":"1","error":%s}' % value for value in (b"{}", b'"\\udfff"', b"null")),
    *(b'{"id":"1","%s":"\\ud800"}' % key for key in (b"x", b"\\ud800", b"created_at")),
    *(b'{"id":"1","created_at":%s}' % value for value in (b"1", b'""', b"[]", b"null", b"true", b'"\\u0000"')),
    *(b'{"id":"1","redacted_at":"%s","deleted_at":"2021-06-15T07:32:10Z"}' % time for time in (b"", *TIMES[:4])),
    *(b'{"id":"1","created_at":"%s"}' % time for time in TIMES),
    b'{"id":"1","created_at":"\xd9\xa12020-02-14T19:00:55.72Z"}',
    # values that are hard to write
    *(
        b'{"id":"1","x":%s}' % value
        for value in (b"1e400", b"-0", b"-0.0", b"1E5", b"9" * 40, b"9" * 5000, b"1" + b"0" * 400)
    ),
    *(
        b'{"id":"1","x":%s}' % value
        for value in (b"[{},{}]", b'[{"y":1},{"z":2}]', b'"},\\n{"', b'",\\n"', b'"\\u2028"')
    ),
    *(b'{"id":"1","":""}', b'{"id":"1","x":{},"y":{}}', b'{"id":"1","x":[[],[]]}', b'{"id":"1","x":"\\u007f\\u0000"}'),
    # long or deep
    *(b'{"id":"1","x":' + b"[" * depth + b"]" * depth + b"}" for depth in (100, 499, 2000)),
    *(b'{"id":"1","x":"%s"}' % (b"a" * length) for length in (1000, 1007, 1008, 1009, 5000)),
]


@pytest.mark.parametrize("line", ODD)
def test_odd_lines_among_sound_ones(line: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a line holds, it and its neighbours are read as each by itself."""
    monkeypatch.setattr(results, "VAIN_MAX", 0)
    for lines in (
        [GOOD, line, GOOD],
        [line, GOOD, GOOD, line],
        [line, line],
        [GOOD, b'{"id":"8","x":[{},' + GOOD, line],
    ):
        agree(b"\n".join(lines))


def test_lines_are_objects_together_only_if_they_are_alone() -> None:
    """No two lines, and none of many triples, complete one another: what is parsed together is so by itself."""
    together = 0
    chance = random.Random(5)
    lines = [GOOD, *ODD]
    for some in itertools.chain(
        itertools.product(lines, repeat=2), (chance.choices(lines, k=3) for _ in range(20_000))
    ):
        objects = results._parse([*some])
        if objects is not None:
            together += 1
            alone = [results._DECODER.decode(line.decode()) for line in some]
            assert json.dumps(objects) == json.dumps(alone), some
    assert together > len(lines)


@settings(deadline=None)
@given(
    st.lists(
        st.lists(
            st.sampled_from(
                [*b'{}[],:" \\\r', *b"NaN", b"NaN", b'"id":"1"', b'"x":', b"1", b'"a"', GOOD, b"{", b"}", b'"x":[']
            ).map(lambda part: part if isinstance(part, bytes) else bytes([part])),
            max_size=6,
        ).map(b"".join)
        | st.sampled_from(ODD),
        max_size=6,
    )
)
def test_any_odd_lines(lines: list[bytes]) -> None:
    """Any lines made of pieces of JSON, with sound ones around them, are read as each by itself."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(results, "VAIN_MAX", 0)
        agree(b"\n".join([GOOD, *lines, GOOD]))


# --------------------------------------------------------------------------- chance


TOKENS = [
    *(b"\n", b"\r", b"\r\n", b"\n\n", b" ", b"\t", b"\x0b", b"\x00", b'"', b'""', b"\\", b"{", b"}", b"[", b"]", b","),
    *(b'"id":"12",', b'"id":12,', b'"id":null,', b'"created_at":null,', b'"redacted_at":"2020-02-30T00:00:00Z",'),
    *(b'"deleted_at":"2021-06-15T07:32:10+00:00",', b'"x":{"id":"7"},', b'"error":"invalid_id",', b"NaN", b"\\ud800"),
    *(b"\xff", b"\xef\xbb\xbf", b"\xe2\x80\xa8", b"\xc2\x85", b"9" * 19, b"9" * 30, b"0", b":", b"24:00:00", b"-13-"),
    *(b"null", b"true", b"1e3", b"suspended", b"deleted", b"delete", b'{"id":"3"}\n', b"\\u0069d", b".5Z", b"+00:00"),
]


def mutated(data: bytes, chance: random.Random) -> bytes:
    """Flip, cut, repeat, or put in a byte or a token."""
    for _ in range(chance.choice([1, 1, 2, 5, 20])):
        start = chance.randint(0, len(data))
        end = min(len(data), start + chance.choice([0, 0, 1, 1, 2, 10, 150]))
        byte, digit = bytes([chance.randrange(256)]), b"%d" % chance.randrange(10)
        new = chance.choice([b"", byte, digit, chance.choice(TOKENS), data[start:end] * 2])
        data = data[:start] + new + data[end:]
    return data


@pytest.mark.parametrize("seed", range(150))
def test_mutated_files(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Valid files that were damaged anywhere, in blocks cut anywhere, are read alike."""
    chance = random.Random(seed)
    monkeypatch.setattr(results, "WORK", chance.choice([50, 400, 5000, 1 << 22]))
    monkeypatch.setattr(results, "LINE_MAX", chance.choice([130, 160, 300, 1 << 20]))
    form = chance.choice(list(FORMS.values()))
    data = mutated(b"\n".join(map(form, documented(chance, chance.randint(1, 20)))), chance)
    agree(data, blocks(data, chance))


@settings(deadline=None)
@given(
    st.lists(
        st.sampled_from([LINE, LINE[:-20], b"", b" ", b"\r", b'{"id":"7"}', b'{"id":"8","reason":"deleted"}', b"{"])
        | st.builds(
            lambda place, byte: LINE[:place] + byte + LINE[place + 1 :], st.integers(0, 170), st.binary(max_size=2)
        ),
        max_size=9,
    ),
    st.sampled_from([b"\n", b"\r\n"]),
    st.integers(1, 200),
)
def test_any_lines(lines: list[bytes], end: bytes, step: int) -> None:
    """Any lines, of which some differ in a byte, in blocks of any size."""
    data = end.join(lines)
    agree(data, [data[place : place + step] for place in range(0, len(data), step)])


# --------------------------------------------------------------------------- comparisons broken on purpose


def agree_with_all(self: Any, rows: Any) -> Any:
    return np.ones(len(rows), dtype=bool)


def take_any_digits(raw: Any, ends: Any, lengths: Any, real: Any = layouts.from_digits) -> Any:
    ids = real(raw, ends, lengths)
    ids.problem[:] = 0
    return ids


def take_any_moment(rows: Any, time: Any, real: Any = layouts._moments) -> Any:
    moment, good = real(rows, time)
    return moment, np.ones_like(good)


BROKEN = {
    "constant bytes": (layouts._Side, "agree", agree_with_all),
    "digits of the ID": (layouts, "from_digits", take_any_digits),
    "digits of times": (layouts, "_moments", take_any_moment),
    "lengths of months": (layouts, "_DAYS", np.full_like(layouts._DAYS, 31)),
    "months": (layouts, "_MONTH", np.where(layouts._pairs(0, 0, 1) == 0, 0, layouts._MONTH)),
    "minutes": (layouts, "_MINUTE", layouts._pairs(0, 60, 60)),
    "seconds": (layouts, "_SECOND", layouts._pairs(0, 60, 1)),
    "milliseconds": (layouts, "_DIGIT", np.arange(1 << 8) - ord("0")),
    "a layout reads its own line": (results._Part, "same", lambda self, other: True),
    "over-long blanks": (results, "_cut", lambda line: line[: results.LINE_MAX + 1]),
    "over-long lines of a layout": (results, "DIGITS_MAX", 0),
    "the rest of a block": (results, "_cut", lambda line: b""),
    "a line is one item": (results, "_alternating", lambda items, count: items[::2] if len(items) >= count else None),
    "an item is an object": (results, "_alternating", lambda items, count: [dict(item) for item in items[::2]]),
    "a key occurs once": (results, "_EXACT", results._QUICK),
    "digits of an ID in any place": (results, "from_digits", take_any_digits),
    "times in any place": (results, "moments", lambda texts: (layouts.moments(texts)[0], np.ones(len(texts), bool))),
}


def test_they_agree_while_nothing_is_broken() -> None:
    """On each of the files by which a broken rule is found out, the readers agree."""
    assert not any(map(disagree, suspicious()))


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_rule_is_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each rule of the columns, if broken, makes the readers disagree on some file of these tests."""
    monkeypatch.setattr(*BROKEN[name])
    assert any(map(disagree, suspicious()))


def suspicious() -> Iterator[tuple[bytes, int, int, int]]:
    """Yield files, the longest line allowed, how much is worked on at once, and after how many lines in vain."""
    for old, new in NEAR:
        near = LINE.replace(old, new)
        yield b"\n".join([LINE, near, LINE, b""]), 300, 1000, 8
        yield b"\n".join([near, near, LINE, LINE, b""]), 300, 1000, 8
    yield b"\n".join([LINE.replace(ID, b"7"), LINE, b""]), len(LINE) - 1, 1000, 8
    yield b" " * 90 + LINE, 50, 40, 8
    for odd in (GOOD + b"," + GOOD, b"[]", b'{"id":"1","id":"2"}', b'{"id":"01"}', b'{"id":"1","created_at":"a"}'):
        yield b"\n".join([GOOD, odd, GOOD]), 300, 1000, 0


def disagree(case: tuple[bytes, int, int, int]) -> bool:
    data, limit, work, vain = case
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(results, "LINE_MAX", limit)
        patch.setattr(results, "WORK", work)
        patch.setattr(results, "VAIN_MAX", vain)
        try:
            agree(data)
        except Exception:
            return True
        return False


# --------------------------------------------------------------------------- what else works on whole columns


@settings(deadline=None)
@given(st.lists(st.sampled_from([None, "delete", "fold", "a", "rehydrate", "", "None", "nan"]), max_size=12))
def test_words(values: list[str | None]) -> None:
    """Words become the same categories as one by one."""
    pd.testing.assert_extension_array_equal(
        pd.array(results.words(values, results.ACTIONS)), pd.array(plain.words(values, results.ACTIONS))
    )


@pytest.mark.parametrize("seed", range(30))
def test_stacked_and_decided_alike(seed: int) -> None:
    """Tables stack, and one record speaks for each ID, as they do row by row."""
    chance = random.Random(seed)
    tables = []
    for _ in range(chance.randint(1, 4)):
        lines = [chance.choice(FORMS_OF_RECORDS) % chance.randint(1, 6) for _ in range(chance.choice([0, 1, 5, 20]))]
        findings = read([b"\n".join(lines)]).findings
        tables.append(findings[findings["id"] > chance.randint(0, 2)])
    stacked = results.concat(tables)
    pd.testing.assert_frame_equal(stacked, plain.concat(tables))
    pd.testing.assert_frame_equal(results.decisive(stacked), plain.decisive(stacked))


FORMS_OF_RECORDS = [
    b'{"id":"%d"}',
    b'{"id":"%d","error":"invalid_id"}',
    b'{"id":"%d","action":"fold","reason":"zzz"}',
    b'{"id":"%d","action":"crease","error":"odd"}',
    b'{"id":"%d","action":"delete","reason":"deleted"}',
    b'{"id":"%d","action":"delete","reason":"deleted","redacted_at":"2021-06-15T07:32:10+00:00"}',
    b'{"id":"%d","action":"delete","reason":"suspended","redacted_at":"2020-06-15T07:32:10+00:00"}',
    b'{"id":"%d","action":"delete","reason":"scrub_geo"}',
    b'{"id":"%d","action":"scrub_geo","redacted_at":"2020-06-15T07:32:10+00:00"}',
    b'{"id":"%d","action":"rehydrate","reason":"tweet_edited","x":1}',
]
