"""Result files that were downloaded earlier: what they list is used, and what they do not list is never proved."""

from __future__ import annotations

import dataclasses
import gzip
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from chart_support import untouched_globals  # noqa: F401  so that no test here leaves a figure behind
from hypothesis import given
from hypothesis import strategies as st

import xcompliance_pd as xc

IDS = [str(1212092628029698048 + n * 4_194_304_007) for n in range(30)]
POSTS = pd.DataFrame({"id": [*IDS[:12], None, "x"], "month": range(14)}, index=range(100, 114))


def line(id: str, reason: str = "suspended") -> str:
    return f'{{"id":"{id}","action":"delete","created_at":"2019-08-10T12:22:39.022Z","reason":"{reason}"}}\n'


LINES = [line(IDS[1]), line(IDS[4], "deleted"), "\n", line(IDS[7])]
STATUSES = ["action_required" if n in (1, 4, 7) else "compliant" for n in range(10)]
WORD = r"7 IDs are called compliant on your word alone \(evidence: given\)"


@pytest.fixture
def file(tmp_path: Path) -> Callable[..., Path]:
    """Save lines, or bytes, as a result file."""

    def save(content: list[str] | bytes, name: str = "results.ndjson") -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else "".join(content).encode())
        return path

    return save


def statuses(checked: pd.DataFrame) -> list[str]:
    return checked["compliance_status"].astype(str).tolist()


def silently(*arguments: Any, **more: Any) -> pd.DataFrame:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", xc.ComplianceWarning)
        return xc.join(*arguments, **more)


# --------------------------------------------------------------------- what a file may say


def test_without_the_ids_sent_nothing_is_compliant(file: Callable[..., Path]) -> None:
    """A file by itself flags what it lists, leaves all the rest unchecked, and says why, once."""
    saved = xc.read_results(file(LINES))
    with pytest.warns(xc.ComplianceWarning, match=r"9 rows stay unchecked.*which IDs were sent is not given") as told:
        checked = POSTS.compliance.join("id", saved)
    assert len(told) == 1
    wanted = ["action_required" if n in (1, 4, 7) else "unchecked" for n in range(13)]
    assert statuses(checked) == [*wanted, "invalid"]
    assert checked["compliance_reason"].dropna().tolist() == ["suspended", "deleted", "suspended"]
    assert checked["compliance_run"].notna().tolist() == [status == "action_required" for status in statuses(checked)]
    assert checked.index.equals(POSTS.index)
    assert checked["compliance_checked_at"].isna().all()


def test_with_the_ids_sent_absence_is_taken_on_the_users_word(file: Callable[..., Path]) -> None:
    """A whole file and the IDs sent make unlisted rows compliant, with a warning and the file's name on each row."""
    saved = xc.read_results(file(LINES), checked_at="2021-11-16T20:02:49+01:00")
    with pytest.warns(xc.ComplianceWarning, match=WORD) as told:
        checked = POSTS.compliance.join("id", saved, sent=IDS[:10])
    assert len(told) == 1
    assert statuses(checked) == [*STATUSES, "unchecked", "unchecked", "unchecked", "invalid"]
    assert set(checked["compliance_run"].dropna()) == {f"file-results.ndjson-{saved.sha256[:8]}"}
    assert set(checked["compliance_checked_at"].dropna()) == {pd.Timestamp("2021-11-16 19:02:49Z")}
    assert (str(saved.grade(None)), str(saved.grade(np.array(IDS[:10], dtype=np.int64)))) == ("unproved", "given")


def test_ids_sent_in_every_form(file: Callable[..., Path], tmp_path: Path) -> None:
    """A path, a packed list, a Series, an array, integers and a frame's column say the same."""
    (tmp_path / "ids.txt").write_text("\n".join([*IDS[:10], ""]))
    (tmp_path / "ids.txt.gz").write_bytes(gzip.compress("\n".join(IDS[:10]).encode()))
    saved = xc.read_results(file(LINES))
    forms = [
        tmp_path / "ids.txt",
        str(tmp_path / "ids.txt.gz"),
        pd.Series(IDS[:10]),
        POSTS["id"].head(10),
        np.array(IDS[:10], dtype=np.int64),
        [int(id) for id in IDS[:10]],
        [*IDS[:10], None, IDS[3]],
        tuple(IDS[:10]),
        set(IDS[:10]),
    ]
    for sent in forms:
        assert statuses(silently(POSTS, "id", saved, sent=sent))[:10] == STATUSES, type(sent)


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        ([*IDS[:3], "1.2e+18"], "1 of the values in sent= are no IDs"),
        (np.array([1.2e18, 3.0]), "lost"),
        ([], "There is no ID"),
        ("nowhere.txt", "no such file"),
        (Path(__file__).parents[1] / "data" / "posts.csv", "columns, and the IDs that were sent are one"),
        (7, "takes the IDs that were uploaded"),
    ],
)
def test_what_was_sent_must_be_exact(file: Callable[..., Path], sent: Any, told: str) -> None:
    """Values that are no IDs, floats that lost digits, and nothing at all are refused: no verdict is made of them."""
    with pytest.raises(xc.InputError, match=told):
        POSTS.compliance.join("id", xc.read_results(file(LINES)), sent=sent)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ([*LINES, line(IDS[20])], "1 of its records are for IDs that were not sent"),
        ([*LINES[:-1], LINES[-1].rstrip("\n")], "does not end with a whole line"),
        (["".join(LINES)[:-9]], "does not end with a whole line"),
        ([LINES[0], "no JSON\n"], r"1 of its lines cannot be read \(line 2: not JSON\)"),
        (["200\n", *LINES], r"1 of its lines cannot be read \(line 1: not a JSON object\)"),
        (["\n\n"], "holds no record"),
        (b"", "holds no record"),
        (['{"id":"' + IDS[1] + '","error":"invalid_id"}\n'], "lists none of the IDs that were sent"),
        ([line(IDS[20])], "1 of its records are for IDs that were not sent"),
        (gzip.compress("".join(LINES).encode())[:-9], "the gzip data end too early"),
    ],
)
def test_any_flaw_leaves_what_is_not_listed_unchecked(
    file: Callable[..., Path], content: list[str] | bytes, why: str
) -> None:
    """A record about another ID, a cut line, an unreadable one, an empty file: nothing unlisted is compliant."""
    with pytest.warns(xc.ComplianceWarning, match=why):
        checked = POSTS.compliance.join("id", xc.read_results(file(content)), sent=IDS[:10])
    assert "compliant" not in statuses(checked)


@given(st.integers(0, len("".join(LINES)) - 1))
def test_a_file_cut_inside_a_line_clears_nobody(tmp_path_factory: pytest.TempPathFactory, length: int) -> None:
    """Wherever a file is cut but at a line's end, no row is compliant; at a line's end nobody can see it."""
    whole = "".join(LINES).encode()
    path = tmp_path_factory.mktemp("cut") / "results.ndjson"
    path.write_bytes(whole[:length])
    try:
        saved = xc.read_results(path)
    except xc.InputError:
        return  # not even one record
    checked = silently(POSTS, "id", saved, sent=IDS[:10])
    if not whole[:length].endswith(b"\n"):
        assert "compliant" not in statuses(checked)
    listed = set(checked.loc[checked["compliance_status"] == "action_required", "id"])
    assert listed <= {IDS[1], IDS[4], IDS[7]}


@given(st.lists(st.one_of(st.binary(max_size=60), st.sampled_from([line.encode() for line in LINES])), max_size=6))
def test_any_bytes_are_refused_or_read_and_clear_nobody(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes]
) -> None:
    """Whatever a file holds, it is read or refused with an InputError; without sent= it makes no row compliant."""
    path = tmp_path_factory.mktemp("any") / "results.ndjson"
    path.write_bytes(b"".join(pieces))
    try:
        saved = xc.read_results(path)
    except xc.InputError:
        return
    assert "compliant" not in statuses(silently(POSTS, "id", saved))
    assert repr(saved)


def test_a_packed_file_is_read_like_a_plain_one(file: Callable[..., Path]) -> None:
    """gzip is found by its first bytes, whatever the name; the SHA-256 is of the file on disk."""
    plain, packed = (
        xc.read_results(file(content, name))
        for content, name in ((LINES, "a.ndjson"), (gzip.compress("".join(LINES).encode()), "b.json"))
    )
    pd.testing.assert_frame_equal(plain.findings, packed.findings)
    assert plain.findings["id"].tolist() == [IDS[1], IDS[4], IDS[7]]
    assert (plain.flaw, packed.flaw) == (None, None)
    assert plain.sha256 != packed.sha256


@pytest.mark.parametrize(
    "content",
    [
        b"<?xml version='1.0'?><Error><Code>ExpiredToken</Code></Error>",
        b'{"id":"20","text":"a post"}\n{"id":"21","text":"another"}\n',
        b'{"data":{"id":"20","status":"complete"}}\n',
        b"id,action,reason\n20,delete,deleted\n",
        '{"id":"20","action":"delete"}\n'.encode("utf-16"),
    ],
    ids=["storage error", "posts", "job", "csv", "utf-16"],
)
def test_other_files_are_refused(file: Callable[..., Path], content: bytes) -> None:
    """An error page, a file of posts, a job, a table: none is taken for results, whose every record needs action."""
    with pytest.raises(xc.InputError, match="holds no record of compliance results"):
        xc.read_results(file(content))


@pytest.mark.parametrize(
    ("path", "told"), [("nowhere.ndjson", "cannot be read"), (".", "cannot be read"), (["a", "b"], "One result file")]
)
def test_files_that_cannot_be_read(path: Any, told: str) -> None:
    """A missing file, a folder and a list of files are named in the error."""
    with pytest.raises(xc.InputError, match=told):
        xc.read_results(path)


@pytest.mark.parametrize("moment", ["2021-11-16 20:02:49", "soon", 5.5])
def test_a_time_without_zone_is_refused(file: Callable[..., Path], moment: Any) -> None:
    """checked_at needs a time zone: it stands beside times in UTC."""
    with pytest.raises(xc.InputError, match="time zone"):
        xc.read_results(file(LINES), checked_at=moment)


def test_it_is_frozen_and_short(file: Callable[..., Path]) -> None:
    """It cannot be changed, and its repr counts and holds no ID."""
    saved = xc.read_results(file([*LINES, "x\n"]))
    assert repr(saved) == "<SavedResults results.ndjson: 4 lines, 3 findings, 1 bad line>"
    with pytest.raises(dataclasses.FrozenInstanceError):
        saved.flaw = None  # type: ignore[misc]


def test_sent_is_for_files_only(box: xc.Sandbox) -> None:
    """A run knows what was sent; a second opinion about it is refused."""
    run = xc.submit(POSTS.head(2), "id", client=box.client)
    with pytest.raises(xc.InputError, match="leave it out"):
        xc.join(POSTS, "id", run, sent=IDS)


# --------------------------------------------------------------------- what is made of it


@pytest.fixture
def vouched(file: Callable[..., Path]) -> pd.DataFrame:
    return silently(POSTS, "id", xc.read_results(file(LINES, "tweets-20261123-0badcafe")), sent=IDS[:10])


def test_the_sentence_claims_no_proof(vouched: pd.DataFrame) -> None:
    """The sentence tells that files were read and what was not proved, even if the file is named like a run."""
    text = vouched.compliance.sentence()
    assert "against a saved result file (job type unknown)" in text
    assert "On an unknown day we checked the IDs in 10 of 14 rows" in text
    assert "Not proved is that 7 of the rows are compliant" in text
    assert "X's batch compliance endpoint" not in text
    proved = vouched.assign(compliance_run=pd.Categorical(["tweets-20261123-0badcafe"] * 14))
    assert "Not proved" not in proved.compliance.sentence()


def test_files_and_runs_side_by_side(vouched: pd.DataFrame) -> None:
    """In a frame of both, the run's rows and the file's are counted apart."""
    run = vouched.assign(compliance_run=pd.Categorical(["users-20261122-0badcafe"] * 14))
    text = pd.concat([vouched, run], ignore_index=True).compliance.sentence()
    assert "X's batch compliance endpoint and a saved result file (job type users)" in text
    assert "Not proved is that 7 of the rows are compliant" in text


def test_summary_charts_and_report_take_it(vouched: pd.DataFrame, tmp_path: Path) -> None:
    """Counts are right, all charts are drawn, and the page for a reviewer says what rests on a word."""
    from matplotlib import pyplot

    counts = vouched.compliance.summary().groupby("status", observed=True)["rows"].sum()
    assert counts.to_dict() == {"compliant": 7, "action_required": 3, "unchecked": 3, "invalid": 1}
    for draw in (vouched.compliance.plot.status, vouched.compliance.plot.reasons, vouched.compliance.plot.overview):
        assert draw() is not None
    pyplot.close("all")
    vouched.compliance.report(tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert "That 7 rows are compliant rests on the word" in page
    again = tmp_path / "again.csv"
    vouched.to_csv(again, index=False)
    reloaded = pd.read_csv(again, dtype=str)
    assert reloaded.compliance.sentence() == vouched.compliance.sentence()


def test_a_sandboxs_results_read_back_agree_with_its_own_check(box: xc.Sandbox, tmp_path: Path) -> None:
    """A result that is read from its file gives the same verdicts as the run that downloaded it."""
    posts = pd.DataFrame({"id": IDS * 3})
    run = xc.submit(posts, "id", client=box.client).wait()
    checked = xc.join(posts, "id", run)
    ledger = run._runner.ledger
    path = ledger._results_path(run.id, 1)
    saved = silently(posts, "id", xc.read_results(path), sent=ledger.ids_path(run.id, 1))
    for name in ("status", "action", "reason", "created_at", "redacted_at"):
        left, right = checked[f"compliance_{name}"], saved[f"compliance_{name}"]
        assert left.astype(str).tolist() == right.astype(str).tolist()
    series = pd.Series(IDS, name="id").compliance
    with pytest.warns(xc.ComplianceWarning, match="on your word"):
        assert len(series.join(xc.read_results(path), sent=IDS)) == len(IDS)
