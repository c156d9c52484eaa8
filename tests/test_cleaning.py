"""What is to be deleted goes, what is to be blanked is blank, nothing else is touched, and all of it is told."""

from __future__ import annotations

import doctest
import io
import itertools
import json
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal, assert_series_equal

import xcompliance_pd as xc
from xcompliance_pd import cleaning, geo
from xcompliance_pd.cleaning import CHANGES
from xcompliance_pd.errors import ComplianceWarning, InputError
from xcompliance_pd.verdicts import STATUSES

COMPLIANT = ("compliant", None, None)
DELETE = ("action_required", "delete", "suspended")
GEO = ("action_required", "delete", "scrub_geo")
EDITED = ("action_required", "rehydrate", "tweet_edited")
UNCHECKED = ("unchecked", None, "internal_error")
INVALID = ("invalid", None, None)
STRANGE = ("action_required", "zap", "aliens")
ALL = (COMPLIANT, DELETE, GEO, EDITED, UNCHECKED, INVALID, STRANGE)


def checked(*rows, prefix="compliance_", index=None, **data):
    """A frame of (status, action, reason) rows beside `data`."""
    status, action, reason = zip(*rows, strict=True) if rows else ((), (), ())
    verdicts = {
        "status": pd.Categorical(status, categories=STATUSES),
        "action": pd.Categorical(action, categories=sorted({"delete", *action} - {None})),
        "reason": pd.Categorical(reason, categories=sorted({*reason} - {None})),
    }
    data = {name: list(value) if isinstance(value, tuple) else value for name, value in data.items()}
    return pd.DataFrame({**data, **{prefix + name: value for name, value in verdicts.items()}}, index=index)


def quietly(frame, **options):
    """Apply without the warning of what is left, which other tests read."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ComplianceWarning)
        return frame.compliance.apply(**options)


def told(frame, **options):
    """What `changes` says, as {row: change}."""
    table = frame.compliance.changes(**options)
    return dict(zip(table["row"], table["change"], strict=True))


# --------------------------------------------------------------------------- what becomes of which row


@pytest.mark.parametrize(
    ("status", "action", "reason", "change"),
    [
        ("compliant", None, None, None),
        ("action_required", "delete", "deleted", "dropped"),
        ("action_required", "delete", "never heard of", "dropped"),
        ("action_required", "delete", None, "dropped"),
        ("action_required", "delete", "scrub_geo", "geo blanked"),
        ("action_required", "delete", "geo_scrubbed", "geo blanked"),
        ("action_required", "scrub_geo", "geo_scrubbed", "geo blanked"),
        ("action_required", "geo_scrubbed", None, "geo blanked"),
        ("action_required", None, "scrub_geo", "geo blanked"),
        ("action_required", "zap", "scrub_geo", "geo blanked"),
        ("action_required", "rehydrate", "tweet_edited", "kept: to rehydrate"),
        ("action_required", "delete", "tweet_edited", "dropped"),
        ("action_required", "zap", "deleted", "kept: unknown action"),
        ("action_required", "DELETE", "deleted", "kept: unknown action"),
        ("action_required", None, None, "kept: unknown action"),
        ("unchecked", None, None, "kept: unchecked"),
        ("unchecked", None, "internal_error", "kept: unchecked"),
        ("unchecked", "delete", "deleted", "kept: unchecked"),
        ("invalid", None, None, "kept: invalid"),
        ("compliant", "delete", "deleted", None),
    ],
)
def test_each_verdict_has_its_change(status, action, reason, change):
    """A verdict is carried out only if its action is known; a geo reason never drops a row; the status comes first."""
    frame = checked((status, action, reason), lat=(48.4,))
    assert told(frame) == ({0: change} if change else {})
    clean = quietly(frame)
    assert len(clean) == (change != "dropped")
    if change != "dropped":
        assert clean["lat"].isna().tolist() == [change == "geo blanked"]


def test_all_at_once_in_order():
    """The clean frame keeps labels and order, and `changes` says for each other row what, where and why."""
    frame = checked(*ALL, index=list("abcdefg"), lat=(1, 2, 3, 4, 5, 6, 7))
    clean = quietly(frame)
    assert clean.index.tolist() == list("acdefg")
    assert clean["lat"].tolist() == [1, pd.NA, 4, 5, 6, 7]
    table = frame.compliance.changes()
    assert table.index.tolist() == list("bcdefg")
    assert table["row"].tolist() == [1, 2, 3, 4, 5, 6]
    assert table["change"].tolist() == [
        "dropped",
        "geo blanked",
        "kept: to rehydrate",
        "kept: unchecked",
        "kept: invalid",
        "kept: unknown action",
    ]
    assert table["action"].astype(object).fillna("-").tolist() == ["delete", "delete", "rehydrate", "-", "-", "zap"]
    assert table["reason"].tolist()[:2] == ["suspended", "scrub_geo"]
    assert table["columns"].tolist()[1] == "lat (int64 becomes Int64)"
    assert (table["columns"] != "").sum() == 1
    again = pd.read_csv(io.StringIO(table.to_csv()), index_col=0)
    assert again["change"].tolist() == table["change"].tolist()


def test_through_the_sandbox():
    """From IDs to a clean frame: what the service says is done, and what it does not know stays, with a warning."""
    ids = [str(1212092628029698048 + n) for n in range(5)]
    lines = [
        {"id": ids[0], "action": "delete", "reason": "deleted"},
        {"id": ids[1], "action": "delete", "reason": "scrub_geo"},
        {"id": ids[2], "action": "rehydrate", "reason": "tweet_edited"},
        {"id": ids[3], "action": "vanish", "reason": "deleted"},
    ]
    posts = pd.DataFrame({"id": [*ids, None], "geo.full_name": "Ulm", "text": list("abcdef")}, index=[7] * 6)
    with xc.Sandbox(findings=[json.dumps(line) for line in lines]) as box:
        frame = posts.compliance.check("id", client=box.client)
    with pytest.warns(ComplianceWarning) as caught:
        clean = frame.compliance.apply()
    assert clean["text"].tolist() == list("bcdef")
    assert clean["geo.full_name"].isna().tolist() == [True, False, False, False, False]
    assert clean.index.tolist() == [7] * 5
    [warning] = caught
    assert warning.filename == __file__
    assert "1 unchecked" in str(warning.message)
    assert "1 with an action that is not known ('vanish')" in str(warning.message)
    assert "1 edited on X" in str(warning.message)
    assert_frame_equal(frame[posts.columns], posts)


# --------------------------------------------------------------------------- options


@pytest.mark.parametrize(
    ("option", "row", "named"),
    [("unchecked", UNCHECKED, "unchecked"), ("invalid", INVALID, "invalid"), ("unknown", STRANGE, "unknown action")],
)
def test_rows_that_prove_nothing(option, row, named):
    """They stay and are counted, go, or are refused, each as its own option says, and the others are not touched."""
    frame = checked(COMPLIANT, row, COMPLIANT, id=("20", "21", "22"))
    with pytest.warns(ComplianceWarning, match=r"Rows kept as they are: 1 .*compliance\.changes\(\) lists"):
        assert frame.compliance.apply()["id"].tolist() == ["20", "21", "22"]
    assert frame.compliance.apply(**{option: "drop"})["id"].tolist() == ["20", "22"]  # and nothing is left to warn of
    assert told(frame, **{option: "drop"}) == {1: "dropped"}
    for verb in (frame.compliance.apply, frame.compliance.changes):
        with pytest.raises(InputError, match=f"1 rows are {named}, first at position 1.*{option}='keep'"):
            verb(**{option: "raise"})
    others = {"unchecked", "invalid", "unknown"} - {option}
    assert len(quietly(frame, **dict.fromkeys(others, "drop"))) == 3
    assert len(quietly(frame, **dict.fromkeys(others, "raise"))) == 3


def test_nothing_to_say_is_no_warning():
    """A frame whose rows are compliant, to be deleted or blanked is cleaned without a word."""
    assert len(checked(COMPLIANT, DELETE, GEO, geo=("a", "b", "c")).compliance.apply()) == 2  # warnings are errors here


def test_redacted_rows_keep_their_verdict_and_what_was_named():
    """mode="redact" leaves the row, its verdict and the columns of keep=, and nothing else of it."""
    data = {"id": ("20", "21"), "text": ("a", "b"), "likes": (1, 2), "seen": (True, False), "lat": (1.5, 2.5)}
    frame = checked(COMPLIANT, DELETE, **data)
    clean = frame.compliance.apply(mode="redact", keep="id")
    assert clean["id"].tolist() == ["20", "21"]
    assert clean.loc[1, ["text", "likes", "seen", "lat"]].isna().all()
    assert clean.loc[0, ["text", "likes", "seen", "lat"]].tolist() == ["a", 1, True, 1.5]
    assert (str(clean["likes"].dtype), str(clean["seen"].dtype), str(clean["lat"].dtype)) == (
        "Int64",
        "boolean",
        "float64",
    )
    verdicts = [name for name in frame if name.startswith("compliance_")]
    assert_frame_equal(clean[verdicts], frame[verdicts])
    [lost] = frame.compliance.changes(mode="redact", keep="id")["columns"]
    assert lost == "text, likes (int64 becomes Int64), seen (bool becomes boolean), lat"
    assert frame.compliance.apply(mode="redact")["id"].isna().tolist() == [False, True]
    unknown = checked(COMPLIANT, UNCHECKED, id=("20", "21"), text=("a", "b"))
    clean = unknown.compliance.apply(mode="redact", unchecked="drop", keep=["id"])
    assert clean["text"].isna().tolist() == [False, True]


def test_mark_says_what_drop_would_do_and_does_nothing():
    """mode="mark" adds one column with the words of `changes`, and is the same again when it is done again."""
    frame = checked(*ALL, lat=tuple(range(7)))
    marked = quietly(frame, mode="mark")
    assert_frame_equal(marked.drop(columns="compliance_change"), frame)
    words = marked["compliance_change"].astype(object).to_numpy()
    assert {row: word for row, word in enumerate(words) if word != "kept"} == told(frame)
    assert_frame_equal(quietly(marked, mode="mark"), marked)
    assert_frame_equal(quietly(marked)[list(frame)], quietly(frame))
    with pytest.raises(InputError, match="'compliance_change' that mode='mark' did not make"):
        frame.assign(compliance_change="mine").compliance.apply(mode="mark")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "delete"}, "mode='delete' is not known"),
        ({"unchecked": "ignore"}, "unchecked='ignore' is not known"),
        ({"keep": "id"}, "Use it with mode='redact'"),
        ({"mode": "redact", "keep": "ID"}, "There is no column 'ID'. Correct keep="),
        ({"mode": "redact", "keep": [["id"]]}, r"There is no column \['id'\]. Correct keep="),
        ({"geo": None, "mode": "redact", "keep": None}, "There is no column None. Correct keep="),
        ({"geo": ["nowhere"]}, "There is no column 'nowhere'. Correct geo="),
        ({"geo": "compliance_status"}, "geo= names a verdict column"),
        ({"prefix": "u_"}, r"no column 'u_status'.*prefix="),
    ],
)
def test_a_mistake_is_named(options, message):
    """Options and columns that do not exist are refused, by both verbs, also when no row would need them."""
    frame = checked(COMPLIANT, id=("20",))
    for verb in (frame.compliance.apply, frame.compliance.changes):
        with pytest.raises(InputError, match=message):
            verb(**options)


def test_rows_without_status_are_refused():
    """A frame with rows that were never checked is not cleaned as if it had been."""
    with pytest.raises(InputError, match="no status in 1 rows"):
        checked(COMPLIANT, id=("20",)).reindex(range(2)).compliance.apply()


def test_a_plan_is_for_its_frame():
    """A plan cannot be carried out on another number of rows; its repr counts, and shows no cell."""
    frame = checked(*ALL, text=("secret words",) * 7)
    plan = cleaning.plan(frame)
    for carry_out in (cleaning.cleaned, cleaning.changes):
        with pytest.raises(InputError, match="another frame"):
            carry_out(frame.head(3), plan)
    assert sum(plan.counts().values()) == 7
    assert set(plan.counts()) <= set(CHANGES)
    assert "1 dropped" in repr(plan)
    assert "secret" not in repr(plan)
    assert cleaning.plan(frame.head(0)).counts() == {}
    assert quietly(frame.head(0)).empty


# --------------------------------------------------------------------------- where geo data is

TWARC = [
    "geo.coordinates.coordinates",
    "geo.coordinates.type",
    "geo.country",
    "geo.country_code",
    "geo.full_name",
    "geo.geo.bbox",
    "geo.geo.type",
    "geo.id",
    "geo.name",
    "geo.place_id",
    "geo.place_type",
]
OTHERS = ["geo", "Coordinates", "PLACE", "place_id", "placeId", "geo_full_name", "place.bounding_box.coordinates"]
OTHERS += ["data.geo.place_id", "coords_coords", "bbox_coords", "geo_coords", "country_code", "lat", "Longitude"]


@pytest.mark.parametrize("name", [*TWARC, *OTHERS])
def test_known_names_are_blanked(name):
    """Columns as the API, twarc and rtweet name them lose the cells of the rows that ask for it, and of no others."""
    frame = checked(COMPLIANT, GEO, **{name: ("Ulm", "Ulm"), "text": ("a", "b")})
    clean = frame.compliance.apply()
    assert clean[name].isna().tolist() == [False, True]
    assert clean["text"].tolist() == ["a", "b"]
    assert frame.compliance.changes()["columns"].tolist() == [name]


@pytest.mark.parametrize("name", ["author.location", "user_location", "geo_enabled", "text", "replaced", "geology", 0])
def test_other_names_are_left(name):
    """What the author's profile says is no geo data of the post; if nothing is found, that is said once."""
    frame = checked(GEO, COMPLIANT, GEO, id=("20", "21", "22")).assign(**{str(name): "Ulm"})
    with pytest.warns(
        ComplianceWarning, match=r"2 told to lose their geo data, of which none was found.*geo=\[\.\.\.\]"
    ):
        clean = frame.compliance.apply()
    assert clean[str(name)].tolist() == ["Ulm"] * 3
    assert told(frame) == {0: "kept: no geo found", 2: "kept: no geo found"}
    assert_frame_equal(frame.compliance.apply(geo=[]), frame)  # who says that there is none is not warned


def test_geo_names_the_columns_itself():
    """geo= replaces the search by name, takes one name or several, and says nothing if no row needs it."""
    frame = checked(GEO, COMPLIANT, country=("coded by hand",) * 2, town=("Ulm",) * 2, street=("x",) * 2)
    clean = frame.compliance.apply(geo="town")
    assert clean.loc[0, ["country", "street"]].tolist() == ["coded by hand", "x"]
    assert clean["town"].isna().tolist() == [True, False]
    both = frame.compliance.apply(geo=["town", "street"])
    assert both[["country", "town", "street"]].isna().sum().tolist() == [0, 1, 1]


def test_verdict_columns_are_never_geo_columns():
    """Even a prefix that looks like geo data does not cost a verdict."""
    frame = checked(GEO, COMPLIANT, prefix="geo_", place=("a", "b"))
    clean = frame.compliance.apply(prefix="geo_")
    assert clean["geo_status"].tolist() == ["action_required", "compliant"]
    assert clean["place"].isna().tolist() == [True, False]


POST = {"id": 1212092628029698048, "text": "größer", "geo": {"place_id": "x"}, "coordinates": [1.5, 2]}
BARE = {"id": 1212092628029698048, "text": "größer", "geo": None, "coordinates": None}


@pytest.mark.parametrize("dtype", [object, "str", "string", "category"])
def test_json_texts_lose_their_geo_objects(dtype):
    """A post kept as JSON text loses its geo objects and nothing else, whatever the column's dtype."""
    texts = [json.dumps(POST), json.dumps(POST, ensure_ascii=False), "{no json}", None]
    frame = checked(COMPLIANT, GEO, GEO, GEO, raw=pd.Series(texts, dtype=dtype), id=list("abcd"))
    with pytest.warns(ComplianceWarning, match="2 told to lose their geo data, of which none was found"):
        clean = frame.compliance.apply()
    assert clean["raw"].dtype == frame["raw"].dtype or dtype == "category"
    assert clean["raw"].tolist()[0] == texts[0]
    assert json.loads(clean["raw"].tolist()[1]) == BARE
    assert "größer" in clean["raw"].tolist()[1]
    assert clean["raw"].tolist()[2] == "{no json}"
    assert clean["raw"].isna().tolist() == [False, False, False, True]
    assert frame["raw"].tolist()[:2] == texts[:2]
    assert frame.compliance.changes()["columns"].tolist()[0] == "geo in raw"
    assert_frame_equal(quietly(clean), clean)
    if dtype == "category":
        assert texts[1] not in clean["raw"].cat.categories


def test_json_texts_without_geo_data_are_not_written_anew():
    """Where there is nothing to blank, spacing and numbers stay as they were written."""
    texts = ['{"geo":null,"n":1.10}', '{ "n": 1e2 }']
    frame = checked(GEO, GEO, raw=texts)
    assert quietly(frame)["raw"].tolist() == texts


def test_records_in_cells_lose_their_geo_objects():
    """Dicts are copied, not changed; v2's wrapping is looked into; posts within posts are somebody else's."""
    inner = {"data": POST, "includes": {"places": [{"id": "x"}], "users": [1]}, "quoted_status": POST}
    frame = checked(GEO, COMPLIANT, raw=(inner, inner), metrics=({"likes": 1}, {"likes": 1}))
    before = json.dumps(frame["raw"].tolist())
    clean = frame.compliance.apply()
    assert clean["raw"][0] == {"data": BARE, "includes": {"places": [], "users": [1]}, "quoted_status": POST}
    assert clean["raw"][1] == inner
    assert clean["metrics"].tolist() == [{"likes": 1}] * 2
    assert json.dumps(frame["raw"].tolist()) == before
    assert_frame_equal(clean.compliance.apply(), clean)


def test_arrow_structs_lose_their_geo_objects():
    """A column of Arrow structs keeps its type, and all else in them, also lists with nothing at a place."""
    fields = [("id", pa.int64()), ("geo", pa.struct([("place_id", pa.string())])), ("n", pa.list_(pa.int16()))]
    kind = pd.ArrowDtype(pa.struct(fields))
    cells = pd.Series([{"id": 2**60 + 1, "geo": {"place_id": "x"}, "n": [1, None]}] * 2, dtype=kind)
    frame = checked(COMPLIANT, GEO, raw=cells)
    clean = frame.compliance.apply()
    assert clean["raw"].dtype == kind
    assert clean["raw"].tolist() == [cells[0], {**cells[0], "geo": None}]


def test_geo_data_that_cannot_be_read_is_told():
    """A dict that a CSV file turned into Python's own notation is left, loudly, with the way out."""
    frame = checked(GEO, GEO, raw=(str(POST), str({"likes": 3})), place=("Ulm", "Ulm"))
    with pytest.warns(ComplianceWarning, match=r"1 cells of column 'raw' seem to hold geo data.*geo=\['raw', \.\.\.\]"):
        assert frame.compliance.apply()["raw"].tolist() == frame["raw"].tolist()
    assert frame.compliance.apply(geo=["raw", "place"])["raw"].isna().all()
    deep = '{"geo":' + '{"a":' * 100_000 + "1" + "}" * 100_001
    with pytest.raises(ValueError, match="no JSON"):
        geo.blanked(deep)


# --------------------------------------------------------------------------- dtypes, indexes, files


def same(one, other):
    """Whether two cells are equal, or both missing."""
    missing = [pd.api.types.is_scalar(cell) and bool(pd.isna(cell)) for cell in (one, other)]
    return all(missing) if any(missing) else bool(one == other)


def columns_of_all_dtypes():
    """Four cells of every dtype that may lose one, by name; the dtype they have afterwards if it is another."""
    four = pd.date_range("2026-01-01", periods=4)
    texts = ["a", "b", "c", "d"]
    columns = {
        **{f"int{bits}": pd.Series([1, 2, 3, 4], dtype=f"int{bits}") for bits in (8, 16, 32, 64)},
        **{f"uint{bits}": pd.Series([1, 2, 3, 4], dtype=f"uint{bits}") for bits in (8, 16, 32, 64)},
        "big": pd.Series([2**62 + n for n in range(4)]),
        "bool": pd.Series([True, False, True, False]),
        "float32": pd.Series([1.5, 2, 3, 4], dtype="float32"),
        "float64": pd.Series([1.5, 2, 3, 4]),
        "complex": pd.Series([1j, 2, 3, 4]),
        "object": pd.Series([1, "b", [3], None], dtype=object),
        "object of texts": pd.Series(texts, dtype=object),
        "str": pd.Series(texts, dtype="str"),
        "string": pd.Series(texts, dtype="string"),
        "Int64": pd.Series([1, None, 3, 4], dtype="Int64"),
        "boolean": pd.Series([True, None, True, False], dtype="boolean"),
        "category": pd.Series(texts, dtype="category"),
        "ordered": pd.Series(pd.Categorical(texts, categories=[*texts[::-1], "never"], ordered=True)),
        "datetime": pd.Series(four),
        "utc": pd.Series(four.tz_localize("UTC")),
        "berlin": pd.Series(four.tz_localize("Europe/Berlin")),
        "timedelta": pd.Series(four - four[0]),
        "period": pd.Series(four.to_period("D")),
        "interval": pd.Series(pd.interval_range(0.0, 4.0)),
        "interval of ints": pd.Series(pd.interval_range(0, 4)),
        "sparse": pd.Series([1.0, np.nan, 3, 4], dtype="Sparse[float64]"),
        "sparse ints": pd.Series([2**62 + 1, 0, 3, 4], dtype="Sparse[int64]"),
        "sparse bools": pd.Series([True, False, False, True], dtype="Sparse[bool]"),
    }
    arrow = {"int64": [1, 2, 3, 4], "string": texts, "bool": [True] * 4, "timestamp[us, UTC]": list(four)}
    for kind, values in arrow.items():
        columns[f"arrow {kind}"] = pd.Series(values, dtype=f"{kind}[pyarrow]")
    return columns


DTYPES = columns_of_all_dtypes()
NULLABLE = {"bool": "boolean", "big": "Int64", "sparse ints": "Int64", "sparse bools": "boolean"}
NULLABLE["interval of ints"] = "interval[float64, right]"
NULLABLE |= {f"{sign}int{bits}": f"{sign.upper()}Int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)}


@pytest.mark.parametrize("name", DTYPES)
@pytest.mark.parametrize("mode", ["drop", "redact"])
def test_every_dtype_can_lose_cells(name, mode):
    """A blanked cell is missing in the column's own dtype (numpy's integers and booleans become nullable)."""
    column = DTYPES[name]
    asks = GEO if mode == "drop" else DELETE
    frame = checked(COMPLIANT, asks, asks, COMPLIANT, place=column)
    clean = frame.compliance.apply(mode=mode)
    assert str(clean["place"].dtype) == NULLABLE.get(name, str(column.dtype))
    assert clean["place"][[1, 2]].isna().all()
    assert all(same(clean["place"][row], column[row]) for row in (0, 3))
    assert_series_equal(frame["place"], column, check_names=False)
    assert_frame_equal(clean.compliance.apply(mode=mode), clean)
    [lost] = set(frame.compliance.changes(mode=mode)["columns"])
    assert lost == (f"place ({column.dtype} becomes {NULLABLE[name]})" if name in NULLABLE else "place")


@pytest.mark.parametrize("name", DTYPES)
def test_every_dtype_survives_rows_that_go(name):
    """Columns that lose no cell keep dtype and values."""
    frame = checked(DELETE, COMPLIANT, COMPLIANT, DELETE, kept=DTYPES[name])
    clean = frame.compliance.apply()
    expected = DTYPES[name].iloc[[1, 2]]
    if isinstance(expected.dtype, pd.CategoricalDtype):
        gone = [DTYPES[name][0], DTYPES[name][3]]
        expected = expected.cat.remove_categories(gone)
    assert_series_equal(clean["kept"], expected, check_names=False)


def test_what_went_is_not_remembered():
    """Categories and index levels do not keep the texts of rows and cells that went; unused ones stay."""
    names = pd.Categorical(["@gone", "@here", "@here"], categories=["@never", "@gone", "@here"])
    index = pd.MultiIndex.from_arrays([["@gone", "@here", "@here"], [1, 2, 3]])
    frame = checked(DELETE, COMPLIANT, GEO, index=index, name=names, place=pd.Categorical(["a", "b", "secret"]))
    clean = frame.compliance.apply()
    assert clean["name"].cat.categories.tolist() == ["@never", "@here"]
    assert clean["place"].cat.categories.tolist() == ["b"]
    assert clean.index.levels[0].tolist() == ["@here"]
    none_left = frame.iloc[:2].compliance.apply()
    assert none_left["compliance_status"].cat.categories.tolist() == list(STATUSES)
    assert "delete" in none_left["compliance_action"].cat.categories
    by_name = frame.set_axis(pd.CategoricalIndex(names, name="who")).compliance.apply()
    assert by_name.index.categories.tolist() == ["@never", "@here"]
    assert by_name.index.name == "who"
    redacted = frame.compliance.apply(mode="redact")
    assert redacted["name"].cat.categories.tolist() == ["@never", "@here"]


@pytest.mark.parametrize("prefix", ["compliance_", "", "x "])
@pytest.mark.parametrize("read", [{}, {"dtype": str}, {"dtype": str, "keep_default_na": False}])
def test_a_reloaded_file_is_cleaned_alike(read, prefix):
    """The verdict columns as text, under any prefix, are enough."""
    frame = checked(*ALL, prefix=prefix, id=list("abcdefg"), place=("Ulm",) * 7)
    again = pd.read_csv(io.StringIO(frame.to_csv(index=False)), **read)
    assert told(again, prefix=prefix) == told(frame, prefix=prefix)
    clean, expected = quietly(again, prefix=prefix), quietly(frame, prefix=prefix)
    assert clean["id"].tolist() == expected["id"].tolist()
    assert clean["place"].isna().tolist() == expected["place"].isna().tolist()


def test_labels_may_be_double_or_have_levels():
    """Double column names and index labels are handled by position; names with levels are read as dotted ones."""
    frame = checked(COMPLIANT, GEO, DELETE, index=[1, 1, 1], lat=(1.0, 2.0, 3.0), text=list("abc"))
    double = pd.concat([frame, frame[["lat", "text"]]], axis=1)
    clean = double.compliance.apply()
    assert clean["lat"].isna().to_numpy().tolist() == [[False, False], [True, True]]
    assert clean["text"].to_numpy().tolist() == [["a", "a"], ["b", "b"]]
    assert double.compliance.apply(mode="redact", keep="text")["text"].notna().to_numpy().all()
    levels = frame.set_axis(
        pd.MultiIndex.from_tuples([("geo", "lat"), ("post", "text"), *((n, "") for n in frame.columns[2:])]), axis=1
    )
    for geo_columns in (None, "geo", [("geo", "lat")]):
        clean = levels.compliance.apply(geo=geo_columns)
        assert clean["geo", "lat"].isna().tolist() == [False, True]
        assert clean["post", "text"].tolist() == ["a", "b"]
    assert quietly(levels, mode="mark")["compliance_change"].tolist() == ["kept", "geo blanked", "dropped"]


def test_a_clean_frame_owes_the_first_nothing():
    """Writing to the clean frame changes nothing in the caller's, and warns of nothing."""
    for mode, row in itertools.product(("drop", "redact", "mark"), (COMPLIANT, DELETE)):
        frame = checked(COMPLIANT, row, id=("20", "21"), place=("a", "b"))
        before = frame.copy()
        clean = frame.compliance.apply(mode=mode)
        clean["id"] = "x"
        clean.loc[0, "place"] = "y"
        assert_frame_equal(frame, before)


# --------------------------------------------------------------------------- properties

verdicts = st.tuples(
    st.sampled_from(STATUSES),
    st.sampled_from([None, "delete", "scrub_geo", "geo_scrubbed", "rehydrate", "zap"]),
    st.sampled_from([None, "deleted", "scrub_geo", "geo_scrubbed", "tweet_edited", "aliens"]),
)


def framed(rows, kinds):
    """A frame of (verdict, index label) rows with columns of these dtypes."""
    data = {}
    for name, kind in kinds.items():
        cells = list(itertools.islice(itertools.cycle(DTYPES[kind]), len(rows)))
        data[name] = pd.Series(cells, dtype=DTYPES[kind].dtype).array
    data["raw"] = [{"n": n, "geo": n} for n in range(len(rows))]
    return checked(*(verdict for verdict, _ in rows), index=[label for _, label in rows], **data)


frames = st.builds(
    framed,
    st.lists(st.tuples(verdicts, st.integers(0, 3)), max_size=12),
    st.dictionaries(st.sampled_from(["place", "geo.id", "lat", "id", "text", "seen"]), st.sampled_from(sorted(DTYPES))),
)
choice = st.sampled_from(["keep", "drop"])
options = st.fixed_dictionaries(
    {"mode": st.sampled_from(["drop", "redact", "mark"])},
    optional={
        "unchecked": choice,
        "invalid": choice,
        "unknown": choice,
        "geo": st.sampled_from([(), ["raw"]]),
    },
)


@settings(max_examples=150)
@given(frames, options)
def test_clean_frame_and_changes_agree(frame, chosen):
    """Every row is in the clean frame or told as dropped; a row that is not told is equal cell by cell; no compliant
    row is told; nothing to be deleted is left; doing it twice is doing it once; the caller's frame stays as it was."""
    before = frame.copy()
    clean = quietly(frame, **chosen)
    table = frame.compliance.changes(**chosen)
    assert_frame_equal(frame, before)

    by_row = dict(zip(table["row"], table["change"], strict=True))
    acts = chosen["mode"] != "mark"
    stay = [row for row in range(len(frame)) if not (acts and by_row.get(row) == "dropped")]
    assert clean.index.tolist() == frame.index[stay].tolist()

    rows = list(frame.astype(object).itertuples(index=False, name=None))
    for row, after in zip(stay, clean[list(frame)].astype(object).itertuples(index=False, name=None), strict=True):
        change = by_row.get(row, "kept") if acts else "kept"
        cells = [same(one, other) for one, other in zip(rows[row], after, strict=True)]
        if change.startswith("kept"):
            assert all(cells), change
        assert all(cells[-3:])  # whatever else goes, verdicts stay

    status, action, reason = (frame[f"compliance_{name}"].astype(object) for name in ("status", "action", "reason"))
    assert not [row for row in by_row if status.iloc[row] == "compliant"]
    told_of = set(by_row)
    assert told_of == {row for row in range(len(frame)) if status.iloc[row] != "compliant"}
    words = {"scrub_geo", "geo_scrubbed"}
    for row in range(len(frame)):
        is_geo = action.iloc[row] in words or reason.iloc[row] in words
        if status.iloc[row] == "action_required":
            assert (by_row[row] in ("geo blanked", "kept: no geo found")) == is_geo
            if action.iloc[row] == "delete" and not is_geo:
                assert by_row[row] == ("redacted" if chosen["mode"] == "redact" else "dropped")
    if acts:
        assert_frame_equal(quietly(clean, **chosen), clean)
        geo_rows = [place for place, row in enumerate(stay) if by_row.get(row) == "geo blanked"]
        for cell in clean["raw"].iloc[geo_rows]:
            assert cell is None or cell["geo"] is None
    assert sum(cleaning.plan(frame, **chosen).counts().values()) == len(frame)


def test_the_page_about_it_is_true():
    """The examples of docs/cleaning.md give what they say."""
    page = Path(__file__).parents[1] / "docs" / "cleaning.md"
    flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    ran = doctest.testfile(str(page), module_relative=False, optionflags=flags)
    assert ran.attempted >= 4
    assert ran.failed == 0


def test_a_part_counts_without_its_column():
    """A row of which a part is unchecked is that, also when the column that the part is of is gone."""
    frame = checked(GEO, lat=(1.0,), compliance_author_id_status=("unchecked",))
    assert quietly(frame, unchecked="drop").empty
    with pytest.raises(InputError, match="only a part was proved"):
        frame.compliance.apply(unchecked="raise")


def test_changes_list_rows_that_refer_to_what_is_unproved():
    """The warning names `changes`, so the row is there, although nothing is done to it."""
    frame = checked(COMPLIANT, COMPLIANT, compliance_references=("unchecked: retweeted", "compliant"))
    with pytest.warns(ComplianceWarning, match="1 referring .retweeted. to posts of which nothing is proved"):
        frame.compliance.apply()
    assert told(frame) == {0: "kept"}
    assert frame.compliance.changes()["references"].tolist() == ["unchecked: retweeted"]


def test_levels_of_categories_forget_what_went():
    """A MultiIndex does not hold the label of a row that went as a category of its level."""
    index = pd.MultiIndex.from_arrays([pd.Categorical(["gone", "stays"]), [1, 2]])
    clean = quietly(checked(DELETE, COMPLIANT, index=index))
    assert clean.index.tolist() == [("stays", 2)]
    assert "gone" not in clean.index.levels[0].categories


def test_half_a_character_in_a_record_is_no_obstacle():
    """A JSON text with an escape that no text can hold is written with escapes."""
    cell = '{"t": "\u00fc \\ud83d", "geo": {"a": 1}}'
    clean = quietly(checked(GEO, raw=(cell,)))
    left = clean["raw"].iloc[0]
    left.encode()
    assert json.loads(left) == {**json.loads(cell), "geo": None}


def test_a_label_that_only_reads_like_a_part_is_none():
    """Labels of several levels are told apart by what they are, not by how they read."""
    frame = checked(GEO, lat=(1.0,))
    frame.columns = pd.MultiIndex.from_tuples([(name, "") for name in frame.columns])
    frame[("compliance_a", "b_status")] = "unchecked"
    assert quietly(frame)[("lat", "")].isna().all()
