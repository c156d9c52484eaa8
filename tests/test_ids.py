"""An ID is accepted exactly as it stands, or not at all; every refusal says what is wrong."""

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from xcompliance_pd import frames
from xcompliance_pd.errors import InputError
from xcompliance_pd.ids import (
    BLOCK,
    FIRST_SNOWFLAKE,
    PROBLEMS,
    batches,
    created_at,
    decode,
    describe,
    encode,
    implausible_posts,
    names_users,
    parse,
    posted_at,
)

MOST = 2**63 - 1
valid_ids = st.one_of(
    st.integers(1, MOST),
    st.integers(1, 19).flatmap(lambda n: st.sampled_from([10 ** (n - 1), min(10**n - 1, MOST)])),
)


def words(column) -> list[str]:
    return [PROBLEMS[code].word for code in parse(column, "id").problem]


def word(value) -> str:
    return words(pd.Series([value], dtype=object))[0]


def arrow(values, make):
    pa = pytest.importorskip("pyarrow")
    return pd.Series(pd.arrays.ArrowExtensionArray(pa.chunked_array([pa.array(values, make(pa))])))


# --------------------------------------------------------------------------- valid IDs, any type

PLAIN = {
    "int64": lambda ids: pd.Series(ids, dtype="int64"),
    "uint64": lambda ids: pd.Series(ids, dtype="uint64"),
    "Int64": lambda ids: pd.Series(ids, dtype="Int64"),
    "UInt64": lambda ids: pd.Series(ids, dtype="UInt64"),
    "str": lambda ids: pd.Series([str(i) for i in ids], dtype="str"),
    "string[python]": lambda ids: pd.Series([str(i) for i in ids], dtype="string[python]"),
    "object of text": lambda ids: pd.Series([str(i) for i in ids], dtype=object),
    "object of int": lambda ids: pd.Series(ids, dtype=object),
    "object of both": lambda ids: pd.Series(
        [(str, int, np.int64, np.uint64, np.str_)[n % 5](i) for n, i in enumerate(ids)], dtype=object
    ),
    "category of text": lambda ids: pd.Series([str(i) for i in ids], dtype="category"),
    "category of int": lambda ids: pd.Series(ids, dtype="int64").astype("category"),
}
ARROW = {
    "int64[pyarrow]": lambda ids: arrow(ids, lambda pa: pa.int64()),
    "uint64[pyarrow]": lambda ids: arrow(ids, lambda pa: pa.uint64()),
    "string[pyarrow]": lambda ids: pd.Series([str(i) for i in ids], dtype="string[pyarrow]"),
    "Arrow string": lambda ids: arrow([str(i) for i in ids], lambda pa: pa.string()),
    "Arrow large_string": lambda ids: arrow([str(i) for i in ids], lambda pa: pa.large_string()),
    "Arrow dictionary": lambda ids: arrow([str(i) for i in ids], lambda pa: pa.dictionary(pa.int32(), pa.string())),
}


def check_all_valid(column, ids):
    parsed = parse(column, "id")
    assert parsed.values.dtype == np.int64
    assert parsed.problem.dtype == np.uint8
    assert parsed.values.tolist() == ids
    assert parsed.valid.all()
    assert parsed.unique().tolist() == sorted(set(ids))


@pytest.mark.parametrize("kind", PLAIN)
@given(ids=st.lists(valid_ids, max_size=30))
def test_every_type_gives_the_same_ids(kind, ids):
    check_all_valid(PLAIN[kind](ids), ids)


@pytest.mark.parametrize("kind", ARROW)
@given(ids=st.lists(valid_ids, max_size=30))
def test_every_arrow_type_gives_the_same_ids(kind, ids):
    pytest.importorskip("pyarrow")
    check_all_valid(ARROW[kind](ids), ids)


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "uint8", "uint16", "uint32", "Int8", "UInt32"])
def test_narrow_integers(dtype):
    check_all_valid(pd.Series([1, 7, 127], dtype=dtype), [1, 7, 127])


@given(ids=st.lists(valid_ids.filter(lambda i: i < 2**53), max_size=20))
def test_exact_floats_are_accepted(ids):
    check_all_valid(pd.Series(ids, dtype="float64"), ids)
    check_all_valid(pd.Series(ids, dtype="Float64"), ids)
    check_all_valid(pd.Series([float(i) for i in ids], dtype=object), ids)


def test_arrow_slices_chunks_and_nulls_keep_their_rows():
    pa = pytest.importorskip("pyarrow")
    for kind in (pa.string(), pa.large_string()):
        first = pa.array(["1", "22", None, "x", "333", "4444"], kind).slice(1, 4)
        column = pd.Series(
            pd.arrays.ArrowExtensionArray(pa.chunked_array([first, pa.array([], kind), pa.array([None], kind)]))
        )
        ids = parse(column, "id")
        assert ids.values.tolist() == [22, 0, 0, 333, 0]
        assert [PROBLEMS[code].word for code in ids.problem] == ["", "missing", "not a number", "", "missing"]


def test_arrow_floats():
    pa = pytest.importorskip("pyarrow")
    assert parse(arrow([5.0, None], lambda _: pa.float64()), "id").values.tolist() == [5, 0]
    with pytest.raises(InputError, match="already lost"):
        parse(arrow([None, 2.0**60], lambda _: pa.float64()), "id")


def test_more_rows_than_a_block():
    ids = [int(i) for i in np.random.default_rng(5).integers(1, MOST, 2 * BLOCK + 3)]
    cells = [str(i) for i in ids]
    check_all_valid(pd.Series(cells, dtype=object), ids)
    check_all_valid(pd.Series(cells, dtype="str"), ids)
    cells[BLOCK] = "1\n2"
    cells[-1] = None
    parsed = parse(pd.Series(cells, dtype=object), "id")
    assert np.flatnonzero(~parsed.valid).tolist() == [BLOCK, 2 * BLOCK + 2]
    assert parsed.values[BLOCK + 1 : -1].tolist() == ids[BLOCK + 1 : -1]


def test_index_and_column_are_left_alone():
    column = pd.Series(["7", None, "x"], index=["a", "a", "b"], dtype=object)
    before = column.copy(deep=True)
    assert parse(column, "id").values.tolist() == [7, 0, 0]
    pd.testing.assert_series_equal(column, before)


def test_nothing_is_written_to_the_column():
    """Clean integers are not copied, and cannot be changed through what was parsed."""
    column = pd.Series([5, 6], dtype="int64")
    ids = parse(column, "id")
    with pytest.raises(ValueError, match="read-only"):
        ids.values[:] = 0
    assert column.tolist() == [5, 6]


# --------------------------------------------------------------------------- text that is no ID

OFFICIAL = re.compile(r"[1-9][0-9]{0,18}", re.ASCII)
near_ids = st.one_of(
    st.text(),
    st.text(alphabet="0123456789"),
    st.text(alphabet="0123456789 .,eE+-x_'\"\n\r\t\0\u00a0\u200b\ufeff\u0661\u00b2\ud800", max_size=24),
    st.integers(-(10**20), 10**20).map(str),
    st.integers(MOST - 5, MOST + 5).map(str),
)


@given(texts=st.lists(near_ids, max_size=12), kind=st.sampled_from(["object", "category"]))
@example(texts=["123\n456", "7"], kind="object")
@example(texts=["", ""], kind="object")
@example(texts=["12\x00", "\x00", "9"], kind="object")
@example(texts=["\ud800", "1"], kind="object")
@example(texts=["1:", "/1", "1?", "12345678:", "1234567890123456/"], kind="object")
def test_text_is_an_id_only_by_the_definition(texts, kind):
    if kind == "category":  # pandas itself cannot make one of half a surrogate pair
        texts = [text.replace("\ud800", "?") for text in texts]
    column = pd.Series(texts, dtype=object)
    parsed = parse(column.astype(kind), "id")
    for text, value, problem in zip(texts, parsed.values.tolist(), parsed.problem.tolist(), strict=True):
        if OFFICIAL.fullmatch(text) and int(text) <= MOST:
            assert (value, problem) == (int(text), 0)
        else:
            assert value == 0
            assert 2 <= problem < len(PROBLEMS)


@given(texts=st.lists(st.one_of(near_ids.map(lambda t: t.replace("\ud800", "?")), st.none()), max_size=12))
def test_arrow_text_agrees_with_python_text(texts):
    pytest.importorskip("pyarrow")
    plain = parse(pd.Series(texts, dtype=object), "id")
    fast = parse(arrow(texts, lambda pa: pa.string()), "id")
    assert plain.values.tolist() == fast.values.tolist()
    assert plain.problem.tolist() == fast.problem.tolist()


cells = st.one_of(
    near_ids,
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(-(2.0**52), 2.0**52),
    st.binary(max_size=5),
    st.just(pd.NA),
    st.just(pd.NaT),
    st.lists(st.integers(1, 9), max_size=2),
    st.decimals(allow_nan=False),
    st.datetimes(),
)


@given(st.lists(cells, max_size=10))
def test_a_mixed_cell_is_parsed_as_if_alone(values):
    column = pd.Series(values, dtype=object)
    together = parse(column, "id")
    alone = [parse(column.iloc[[n]], "id") for n in range(len(values))]
    assert together.values.tolist() == [int(ids.values[0]) for ids in alone]
    assert together.problem.tolist() == [int(ids.problem[0]) for ids in alone]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "empty text"),
        ("  \t", "empty text"),
        ("\ufeff123", "byte order mark"),
        ("ï»¿123", "byte order mark"),
        ("'1228393702244134912", "Excel apostrophe"),
        ("\u2019123", "Excel apostrophe"),
        (" 123 ", "spaces"),
        ("123\u00a0", "spaces"),
        ("123\u200b", "spaces"),
        ("\t123", "spaces"),
        ("123\r", "spaces"),
        ("123\n456", "spaces"),
        ("123 456", "spaces"),
        ("1.4e+18", "scientific notation"),
        ("1,41785674431997E+18", "scientific notation"),
        (" 1.4E+18", "scientific notation"),
        ("'1.4E+18", "scientific notation"),
        ("1E18", "scientific notation"),
        ("123.0", "decimal point"),
        ("123,0", "decimal point"),
        ("-5", "negative"),
        ("\u22125", "negative"),
        ("+5", "plus sign"),
        ("https://x.com/a/status/1228393702244134912", "status URL"),
        ("twitter.com/a/statuses/12?s=20", "status URL"),
        ("x.com/i/web/status/12", "status URL"),
        ("\u0661\u0662\u0663", "other scripts' digits"),
        ("\uff11\uff12", "other scripts' digits"),
        ("\u00b2", "other scripts' digits"),
        ("1" * 20, "over 19 digits"),
        (str(2**63), "too large"),
        ("9" * 19, "too large"),
        ("0", "zero"),
        ("000", "zero"),
        ("007", "leading zeros"),
        ("0" + "1" * 19, "leading zeros"),
        ('"123"', "quotes"),
        ("'123'", "quotes"),
        ('="123"', "quotes"),
        ("1,000", "digit grouping"),
        ("1_000", "digit grouping"),
        ("1.000.000", "digit grouping"),
        ("nan", "word for missing"),
        ("None", "word for missing"),
        ("<NA>", "word for missing"),
        ("NULL", "word for missing"),
        ("NaT", "word for missing"),
        ("0x1F", "hexadecimal"),
        ("abc", "not a number"),
        ("https://x.com/a", "not a number"),
        ("12\ud800", "not a number"),
    ],
)
def test_the_word_says_what_is_wrong(text, expected):
    assert word(text) == expected


def test_every_problem_but_none_has_a_word_and_an_advice_of_one_line():
    assert PROBLEMS[0] == ("", "")
    assert PROBLEMS[1].word == "missing"
    assert len({problem.word for problem in PROBLEMS}) == len(PROBLEMS) < 255
    for problem in PROBLEMS[1:]:
        assert problem.advice.endswith(".")
        assert "\n" not in problem.advice


@pytest.mark.parametrize("value", [True, b"123", [1], object(), pd.Timestamp(0), np.bool_(True), 1 + 0j, float("inf")])
def test_objects_that_are_no_numbers(value):
    assert word(value) == "not a number"


@pytest.mark.parametrize("value", [None, float("nan"), np.nan, pd.NA, pd.NaT])
def test_missing_values(value):
    assert word(value) == "missing"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, "zero"),
        (-5, "negative"),
        (2**63, "too large"),
        (10**19, "over 19 digits"),
        pytest.param(10**5000, "over 19 digits", id="huge"),
        (np.uint64(2**63), "too large"),
        (1.5, "decimal point"),
        (np.float32(-2), "negative"),
    ],
)
def test_numbers_among_objects(value, expected):
    assert word(value) == expected
    assert words(pd.Series(["12", value, None], dtype=object)) == ["", expected, "missing"]


def test_integer_columns():
    assert words(pd.Series([5, 0, -5], dtype="int64")) == ["", "zero", "negative"]
    assert words(pd.Series([5, 0, 2**63, MOST], dtype="uint64")) == ["", "zero", "too large", ""]
    assert words(pd.Series([5, None, 0], dtype="Int64")) == ["", "missing", "zero"]
    assert words(pd.Series([2**63, None], dtype="UInt64")) == ["too large", "missing"]


# --------------------------------------------------------------------------- floats


def test_float_problems_are_told_row_by_row():
    column = pd.Series([7, np.nan, 1.5, -2, 0, np.inf], dtype="float64")
    assert words(column) == ["", "missing", "decimal point", "negative", "zero", "not a number"]


@pytest.mark.parametrize(("dtype", "bits"), [("float16", 11), ("float32", 24), ("float64", 53), ("Float32", 24)])
def test_floats_are_accepted_only_below_the_width_of_their_mantissa(dtype, bits):
    assert parse(pd.Series([2**bits - 1], dtype=dtype), "id").values.tolist() == [2**bits - 1]
    for value in (2**bits, -(2**bits)):
        with pytest.raises(InputError, match="already lost"):
            parse(pd.Series([value], dtype=dtype), "id")


@pytest.mark.parametrize("dtype", ["float64", "Float64", "object"])
def test_all_missing_is_fine_in_any_type(dtype):
    assert words(pd.Series([None, None], dtype=dtype)) == ["missing", "missing"]


@pytest.mark.parametrize("dtype", ["float64", "Float64", "category", "object"])
def test_lost_digits_are_refused_with_rows_and_fix(dtype):
    numbers = [1228393702244134912.0, np.nan] * 6
    column = pd.Series(numbers, index=[f"row{n}" for n in range(12)], dtype="float64").astype(dtype)
    with pytest.raises(InputError) as caught:
        parse(column, "post id")
    text = str(caught.value)
    assert "'post id'" in text
    assert str(column.dtype) in text
    assert "6 floating-point numbers" in text
    assert "already lost" in text
    assert "'row0', 'row2', 'row4', 'row6', 'row8'; position 0, 2, 4, 6, 8 and more" in text
    assert "row10" not in text
    assert 'dtype={"post id": str}' in text
    assert '"Int64"' in text
    assert "dtype=False" in text


def test_one_lost_float_among_text_refuses_the_column():
    with pytest.raises(InputError, match=r"holds 1 floating.*position 2\)"):
        parse(pd.Series(["5", None, 2.0**53], dtype=object), "id")


def test_an_unused_lost_category_harms_nobody():
    column = pd.Series([7.0, 2.0**60]).astype("category").iloc[:1]
    assert parse(column, "id").values.tolist() == [7]


@pytest.mark.parametrize(
    "column",
    [
        pd.Series([True]),
        pd.Series([True, None], dtype="boolean"),
        pd.Series(pd.to_datetime(["2020-01-01"])),
        pd.Series(pd.to_datetime(["2020-01-01"], utc=True)),
        pd.Series(pd.to_timedelta([1])),
        pd.Series([1j]),
        pd.Series(pd.period_range("2020", periods=1)),
        pd.Series(pd.interval_range(0, 1)),
        pd.Series([True]).astype("category"),
    ],
    ids=lambda column: str(column.dtype),
)
def test_types_that_cannot_hold_ids_are_named(column):
    with pytest.raises(InputError, match=r"'flag'.*cannot hold IDs") as caught:
        parse(column, "flag")
    dtype = column.cat.categories.dtype if column.dtype == "category" else column.dtype
    assert str(dtype) in str(caught.value)


# --------------------------------------------------------------------------- describe


def test_describe_lists_invalid_rows_under_their_labels():
    column = pd.Series(["5", " 6\u200b", None, "x" * 500, -1], index=["a", "b", "b", "d", "d"], dtype=object, name="id")
    table = describe(parse(column, "id"), column)
    assert table.index.tolist() == ["b", "d", "d"]
    assert table.columns.tolist() == ["value", "problem", "advice", "row"]
    assert table["row"].tolist() == [1, 3, 4]
    assert table["problem"].tolist() == ["spaces", "not a number", "negative"]
    assert table["value"].iloc[0] == r"' 6\u200b'"
    assert len(table["value"].iloc[1]) == 80
    assert table["value"].iloc[2] == "-1"
    assert all(table["advice"])


def test_describe_shows_even_a_number_too_long_to_print():
    column = pd.Series([10**5000], dtype=object)
    assert describe(parse(column, "id"), column)["value"].iloc[0].startswith("0x")


def test_describe_of_clean_rows_is_empty():
    column = pd.Series(["5", None])
    assert len(describe(parse(column, "id"), column)) == 0


# --------------------------------------------------------------------------- batches, encode, decode


@given(st.lists(st.lists(st.integers(1, 99), max_size=12), max_size=8), st.integers(1, 15))
def test_batches_lose_nothing_and_say_where_each_id_is(parts, size):
    """Every ID of every part is in a batch that names the part; whole parts share one, and a larger one has its own."""
    found = list(batches([np.array(sorted(set(part)), dtype=np.int64) for part in parts], size))
    for batch in found:
        assert 0 < len(batch.ids) <= size
        assert (np.diff(batch.ids) > 0).all()
        inside = set().union(*parts[batch.first : batch.last + 1])
        assert set(batch.ids.tolist()) <= inside
        if batch.first < batch.last:
            assert set(batch.ids.tolist()) == inside
    for number, part in enumerate(parts):
        here = [set(batch.ids.tolist()) for batch in found if batch.first <= number <= batch.last]
        assert set(part) <= set().union(*here)


@given(count=st.integers(0, 50), size=st.integers(1, 60))
def test_one_part_is_cut_into_views(count, size):
    ids = np.arange(1, count + 1)
    parts = [part.ids for part in batches([ids], size)]
    assert all(np.shares_memory(part, ids) for part in parts)
    assert all(len(part) == size for part in parts[:-1])
    assert [int(i) for part in parts for i in part] == ids.tolist()


@given(numbers=st.lists(valid_ids, min_size=1, unique=True), size=st.integers(1, 60), bytes_max=st.integers(20, 400))
def test_no_batch_has_more_bytes_than_a_single_upload_may(numbers, size, bytes_max):
    """Whatever the batch size, each batch's lines fit into one request, and no ID is lost for it."""
    found = list(batches([np.array(sorted(numbers))], size, bytes_max))
    assert all(len(b"".join(encode(batch.ids))) <= bytes_max for batch in found)
    assert [int(i) for batch in found for i in batch.ids] == sorted(numbers)


def test_parts_are_asked_for_one_by_one():
    """The next part is made when there is room for it, so that a large dataset is never in memory as a whole."""
    asked = []

    def parts():
        for number in range(3):
            asked.append(number)
            yield np.arange(10 * number + 1, 10 * number + 6)

    gathered = batches(parts(), 5)
    assert next(gathered).first == 0
    assert asked == [0, 1]
    assert [batch.first for batch in gathered] == [1, 2]


@pytest.mark.parametrize("size", [0, -1])
def test_batches_refuse_a_size_that_would_lose_ids(size):
    with pytest.raises(InputError, match="batch_size"):
        list(batches([np.arange(1, 3)], size))


@given(st.lists(valid_ids, max_size=40))
def test_encode_writes_plain_lines_and_decode_reads_them(ids):
    array = np.array(ids, dtype=np.int64)
    data = b"".join(encode(array))
    assert data == "".join(f"{i}\n" for i in ids).encode()
    assert decode(data).tolist() == ids


@pytest.mark.parametrize("count", [BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK])
def test_encode_comes_in_blocks(count):
    for low in (1, 10**18):  # of several lengths, and of one
        ids = np.sort(np.random.default_rng(3).integers(low, MOST, count))
        ids[0] = low
        blocks = list(encode(ids))
        assert all(len(block) <= 20 * BLOCK and block.endswith(b"\n") for block in blocks)
        assert b"".join(blocks) == "".join(f"{i}\n" for i in ids.tolist()).encode()
        assert decode(b"".join(blocks)).tolist() == ids.tolist()


@pytest.mark.parametrize("bad", [0, -1, -(2**63)])
def test_encode_never_writes_what_is_no_id(bad):
    with pytest.raises(ValueError, match="positive"):
        list(encode(np.array([5, bad], dtype=np.int64)))


@pytest.mark.parametrize(
    "data",
    [
        b"1",
        b"1\n2",
        b"\n",
        b"1\n\n2\n",
        b"1\r\n",
        b" 1\n",
        b"01\n",
        b"0\n",
        b"-1\n",
        b"1.0\n",
        b"1\x00\n",
        b"9223372036854775808\n",
    ],
)
def test_decode_is_strict(data):
    with pytest.raises(ValueError, match=r"cut off|is not an ID"):
        decode(data)


def test_decode_names_the_line():
    data = b"".join(encode(np.arange(1, BLOCK + 10)))
    with pytest.raises(ValueError, match=f"line {BLOCK + 10} "):
        decode(data + b"x\n")


@given(st.binary(max_size=60))
def test_decode_accepts_only_what_encode_writes(data):
    try:
        ids = decode(data)
    except ValueError:
        return
    assert b"".join(encode(ids)) == data


# --------------------------------------------------------------------------- posts or users


@pytest.mark.parametrize(
    "name",
    ["author_id", "user_id", "userId", "in_reply_to_user_id", "User ID", "screen_name", "account", "profile_url",
     "tweet_author_id", "retweeted_status_user_id", "AuthorID", "username", "user.id_str", ("author", "id")],
)  # fmt: skip
def test_names_that_say_users(name):
    assert names_users(name)


@pytest.mark.parametrize(
    "name", ["id", "post_id", "tweet_id", "user_tweet_id", "in_reply_to_status_id", "Tweet ID", "text", 0, None, ""]
)
def test_names_that_do_not(name):
    assert not names_users(name)


def test_implausible_posts():
    now = 1_700_000_000
    latest = (int((now + 86_400) * 1000) - 1_288_834_974_657) << 22
    ids = np.array([FIRST_SNOWFLAKE - 1, FIRST_SNOWFLAKE, latest, latest + (1 << 22)])
    assert implausible_posts(ids, now) == 0.5
    assert implausible_posts(ids[1:3], now) == 0
    assert implausible_posts(ids[:0], now) == 0


# --------------------------------------------------------------------------- the time in an ID


@given(
    st.integers(0, 2**41 - 1), st.integers(0, 2**22 - 1)
)  # fmt: skip
def test_created_at_is_the_upper_bits(milliseconds, low):
    """The millisecond is the ID without its lowest 22 bits, whatever those hold."""
    value = (milliseconds << 22) + low
    (time,) = created_at(np.array([value]))
    if value < FIRST_SNOWFLAKE:
        assert np.isnat(time)
    else:
        assert time.astype(int) == milliseconds + 1_288_834_974_657
    assert time.dtype == np.dtype("datetime64[ms]")


def test_created_at_tells_nothing_where_there_is_no_id():
    column = parse(pd.Series(["1228393702244134912", None, "x", "20", str(FIRST_SNOWFLAKE - 1)]), "id")
    assert np.isnat(created_at(column.values)).tolist() == [False, True, True, True, True]
    assert np.isnat(created_at(np.array([FIRST_SNOWFLAKE] * 2), np.array([True, False]))).tolist() == [False, True]
    assert len(created_at(column.values[:0])) == 0
    assert column.values[0] == 1228393702244134912  # what was given is not changed


@pytest.mark.parametrize("name", ["author_id", "user"])
def test_posted_at_refuses_users_by_name(name):
    with pytest.raises(InputError, match="looks like user IDs"):
        posted_at(parse(pd.Series(["1228393702244134912"]), name), name, 1_700_000_000)


def test_posted_at_refuses_users_by_value():
    half = parse(pd.Series(["1228393702244134912", "20"]), "id")
    assert len(posted_at(half, "id", 1_700_000_000)) == 2
    with pytest.raises(InputError, match="67% of the IDs in column 'id'"):
        posted_at(parse(pd.Series(["1228393702244134912", "20", "21"]), "id"), "id", 1_700_000_000)
    with pytest.raises(InputError, match="from the future"):
        posted_at(half, "id", 1_300_000_000)


def test_a_series_tells_when_its_posts_were_made():
    """The face keeps index and order, and gives UTC datetimes of one name whatever the type of the column."""
    ids = pd.Series(["1228393702244134912", None, "nonsense", "1228393702244134913"], index=list("aabc"), name="id")
    times = frames.created_at(ids)
    assert times.name == "created_at"
    assert times.index.tolist() == list("aabc")
    assert str(times.dtype) == "datetime64[ms, UTC]"
    assert times.isna().tolist() == [False, True, True, False]
    assert times.iloc[0].isoformat() == "2020-02-14T19:00:55.723000+00:00"
    assert ids.compliance.created_at().equals(times)
    assert frames.created_at(ids.iloc[[0, 3]].astype("int64")).equals(times.iloc[[0, 3]])
    with pytest.raises(InputError, match="user IDs"):
        frames.created_at(ids.rename("author_id"))
    with pytest.raises(InputError, match="cannot hold IDs"):
        frames.created_at(pd.Series(pd.to_datetime(["2020"])))
