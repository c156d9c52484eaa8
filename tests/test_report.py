"""The report says what the columns and the ledger say, in a page that stands alone and gives nothing away."""

from __future__ import annotations

import base64
import io
import itertools
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pandas as pd
import pytest
from support import quick

import xcompliance_pd as xc
from xcompliance_pd import report
from xcompliance_pd.runner import Clock
from xcompliance_pd.summary import columns, sentence, summary

FIRST = 1212092628029698048
IDS = [str(FIRST + number * 4_194_304_007) for number in range(60)]
NASTY = "<script>alert('x')</script>&\"\u202e\x00"


@pytest.fixture
def posts() -> pd.DataFrame:
    return pd.DataFrame({"id": [*IDS, None, "no ID"], "text": "words of a post"})


@pytest.fixture(autouse=True)
def _warned(recwarn: pytest.WarningsRecorder) -> Iterator[None]:
    """The row without an ID is on purpose; any other warning fails."""
    yield
    assert all("hold no ID" in str(one.message) or "stay unchecked" in str(one.message) for one in recwarn)


def done(posts: pd.DataFrame, box: xc.Sandbox, **settings: Any) -> tuple[pd.DataFrame, xc.Run]:
    run = posts.compliance.submit("id", client=quick(box, **settings), label="panel 2026")
    return posts.compliance.join("id", run, partial=settings.get("partial", False)), run


def written(path: Path) -> tuple[str, ElementTree.Element]:
    """The page as text and, because it is well-formed XML, as a tree."""
    text = path.read_text(encoding="utf-8")
    return text, ElementTree.fromstring(text)


def words(node: ElementTree.Element) -> str:
    return " ".join("".join(node.itertext()).split())


def table(tree: ElementTree.Element, caption: str) -> list[list[str]]:
    (found,) = [node for node in tree.iter("table") if words(node.find("caption")) == caption]  # type: ignore[arg-type]
    return [[words(cell) for cell in row] for row in found.find("tbody")]  # type: ignore[union-attr]


def said(tree: ElementTree.Element, title: str) -> str:
    (section,) = [node for node in tree.iter("section") if words(node.find("h2")) == title]  # type: ignore[arg-type]
    return words(section)


# --------------------------------------------------------------------------- what it says


def test_it_says_what_the_columns_say(posts: pd.DataFrame, box: xc.Sandbox, tmp_path: Path) -> None:
    """Sentence and counts are those of the frame; every row is in the table once, and the total is below."""
    checked, run = done(posts, box)
    checked.compliance.report(tmp_path / "r.html", run, column="id")
    _, tree = written(tmp_path / "r.html")
    (lead,) = [node for node in tree.iter("p") if node.get("class") == "lead"]
    assert words(lead) == sentence(checked).replace("\N{NO-BREAK SPACE}", " ")
    counts = summary(checked)
    rows = table(tree, "Rows by status, action and reason")
    assert [(row[0], row[3]) for row in rows[:-1]] == [
        (status, str(rows)) for status, rows in zip(counts["status"], counts["rows"], strict=True)
    ]
    assert rows[-1] == ["all rows", "", "", str(len(checked)), "100.0 %"]
    assert "panel 2026" in words(tree.find(".//h1"))  # type: ignore[arg-type]
    assert "2 of the 62 rows: 1 unchecked, 1 invalid" in said(tree, "What was not proved")


def test_it_says_where_the_verdicts_come_from(posts: pd.DataFrame, box: xc.Sandbox, tmp_path: Path) -> None:
    """Run, service, times, requests, and for each batch job, checksums and proof stand there as in the ledger."""
    checked, run = done(posts, box, batch_size=40)
    report.write(checked, tmp_path / "r.html", run)
    _, tree = written(tmp_path / "r.html")
    facts = dict(table(tree, "The run, as its ledger tells"))
    record = run.record
    assert facts["Run"] == run.id
    assert facts["Service"] == box.url
    assert facts["SHA-256 of the IDs"] == record.ids_sha256
    assert facts["Requests to the API"] == ", ".join(f"{word} {n}" for word, n in sorted(record.requests.items()))
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", facts["Ended"])
    assert len(record.batches) == 2
    for batch in record.batches:
        facts = dict(table(tree, f"Batch {batch.number} of 2"))
        assert facts["Job"] == batch.job_id
        assert facts["IDs"] == str(batch.ids)
        assert facts["Sent"] == f"{batch.ids_bytes:,} bytes"
        assert facts["SHA-256 of what was sent"] == batch.ids_sha256
        assert facts["CRC-32C of what was sent"] == batch.ids_crc32c
        assert facts["Proof of the upload"] == report.UPLOADS["hash"]
        assert facts["Evidence"] == "hash; absence is proved"
        assert facts["SHA-256 of what was received"] == batch.results_sha256
        assert facts["IDs that the service named"] == str(batch.listed)
        assert facts["Records about IDs not sent"] == "0"
    assert "Done. " in words(tree)
    assert "✓ joined" in words(tree)
    ((_, kind, _, invented, rows),) = table(tree, "Runs that the rows name")
    assert (kind, invented, rows) == ("tweets", "yes", "60")


def test_it_names_the_software_and_its_hour(
    posts: pd.DataFrame, box: xc.Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Versions are those that are installed, and the time of writing is the one clock's, in UTC."""
    checked, _ = done(posts, box)
    monkeypatch.setattr(report, "Clock", lambda: Clock(now=lambda: 1_795_464_000.0))
    report.write(checked, tmp_path / "r.html")
    facts = dict(table(written(tmp_path / "r.html")[1], "This page, and the software that made it"))
    assert facts["Written"] == "2026-11-23 20:00:00 UTC"
    assert facts["xcompliance-pd"] == xc.__version__
    assert facts["pandas"] == pd.__version__
    assert {"numpy", "requests", "matplotlib", "Python"} <= set(facts)


def test_without_a_run_it_says_that_no_record_was_given(posts: pd.DataFrame, box: xc.Sandbox, tmp_path: Path) -> None:
    """The runs that the rows name are listed, and what only a ledger can tell is said to be missing."""
    checked, run = done(posts, box)
    report.write(checked, tmp_path / "r.html")
    _, tree = written(tmp_path / "r.html")
    assert table(tree, "Runs that the rows name")[0][0] == run.id
    assert "No ledger record of a run was given" in said(tree, "Where the verdicts come from")
    assert "No record of a run was given" in said(tree, "What was not proved")
    assert "SHA-256" not in words(tree)


@pytest.mark.parametrize("read", [{}, {"dtype": str}])
def test_a_reloaded_file_gives_the_same_page(
    posts: pd.DataFrame, box: xc.Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: dict[str, Any]
) -> None:
    """A frame that went through CSV is reported word for word like the original."""
    checked, run = done(posts, box)
    again = pd.read_csv(io.StringIO(checked.to_csv(index=False)), **read)
    monkeypatch.setattr(report, "Clock", lambda: Clock(now=lambda: 0.0))
    for name, frame in (("a.html", checked), ("b.html", again)):
        report.write(frame, tmp_path / name, run)
    assert words(written(tmp_path / "a.html")[1]) == words(written(tmp_path / "b.html")[1])


def test_a_sandbox_is_called_one_and_a_real_run_is_not(posts: pd.DataFrame, box: xc.Sandbox, tmp_path: Path) -> None:
    """The banner stands above everything else exactly when verdicts are invented, and says if only some are."""
    checked, _ = done(posts, box)
    real = checked.assign(compliance_run=checked["compliance_run"].astype(object).str.replace("sandbox-", ""))
    both = pd.concat([checked, real], ignore_index=True)
    for frame, count, words_ in ((checked, 1, "invented"), (real, 0, ""), (both, 1, "Some of the rows are real")):
        report.write(frame, tmp_path / "r.html", overwrite=True)
        text, tree = written(tmp_path / "r.html")
        banners = [words(node) for node in tree.iter("p") if node.get("class") == "banner"]
        assert len(banners) == count
        assert words_ in "".join(banners)
        assert ("SANDBOX" in text) is bool(count)


# --------------------------------------------------------------------------- what was not proved


def test_unproved_results_are_named(posts: pd.DataFrame, tmp_path: Path) -> None:
    """A result with a line that nobody can read proves no absence: the page says so, and how many IDs it concerns."""
    lines = [f'{{"id":"{IDS[2]}","action":"delete","reason":"deleted"}}', "{broken"]
    with xc.Sandbox(findings=lines, complete_after=1) as box:
        checked, run = done(posts, box)
    report.write(checked, tmp_path / "r.html", run)
    _, tree = written(tmp_path / "r.html")
    told = said(tree, "What was not proved")
    assert "The results of batch 1 were not proved whole (1 of its lines cannot be read), so 59 of its 60 IDs" in told
    facts = dict(table(tree, "Batch 1 of 1"))
    assert facts["Evidence"].endswith("absence is not proved")
    assert facts["Lines that cannot be read"] == "1"


def test_a_run_that_gave_no_verdict_is_reported_as_such(posts: pd.DataFrame, tmp_path: Path) -> None:
    """With nothing proved and nothing listed no row names the run; the page still tells why, and claims nothing."""
    with xc.Sandbox(findings=["{broken"], complete_after=1) as box:
        checked, run = done(posts, box)
    report.write(checked, tmp_path / "r.html", run)
    _, tree = written(tmp_path / "r.html")
    assert f"No row names the run {run.id}" in said(tree, "What was not proved")
    assert "No row got a verdict" in words(tree)
    assert "○ joined" in words(tree)


def test_unfinished_and_failed_batches_are_named(posts: pd.DataFrame, tmp_path: Path) -> None:
    """What a partial join leaves out is said batch by batch; a job that failed gives its reason."""
    with xc.Sandbox(processing_seconds=3600) as box:
        client = quick(box, batch_size=40, poll_interval=0.05)
        run = posts.compliance.submit("id", client=client)
        with pytest.raises(xc.WaitTimeout):
            run.wait(0.2)
        run.stop()
        checked = posts.compliance.join("id", run, partial=True)
        report.write(checked, tmp_path / "a.html", run)
    told = said(written(tmp_path / "a.html")[1], "What was not proved")
    assert "Batch 1, of 40 IDs, had not ended when this page was written" in told
    assert "Batch 2, of 20 IDs, had not ended" in told
    assert dict(table(written(tmp_path / "a.html")[1], "Batch 1 of 2"))["State"].startswith("not ended")
    with xc.Sandbox(processing_seconds=3600, complete_after=0) as box:
        run = posts.compliance.submit("id", client=quick(box, poll_interval=0.05))
        with pytest.raises(xc.WaitTimeout):
            run.wait(0.5)
        box.service.fail(box.service.jobs[0].id, "no reason")
        with pytest.raises(xc.JobError):
            posts.compliance.join("id", run)
        report.write(posts.compliance.join("id", run, partial=True), tmp_path / "b.html", run)
    _, tree = written(tmp_path / "b.html")
    assert "Batch 1, of 60 IDs, failed: X says it failed: no reason. Its rows are unchecked." in words(tree)
    assert dict(table(tree, "Batch 1 of 1"))["State"] == "failed: X says it failed: no reason"


def test_rows_of_other_runs_and_of_none_are_named(posts: pd.DataFrame, box: xc.Sandbox, tmp_path: Path) -> None:
    """Verdicts of runs whose record was not given, and verdicts that name no run, are counted as such."""
    checked, run = done(posts, box)
    names = checked["compliance_run"].astype(object).tolist()
    names[0], names[1], names[2] = "users-20261025-89abcdef", "users-20261025-89abcdef", None
    report.write(checked.assign(compliance_run=names), tmp_path / "r.html", run)
    told = said(written(tmp_path / "r.html")[1], "What was not proved")
    assert "2 rows name other runs (users-20261025-89abcdef), whose records were not given." in told
    assert "1 rows have a verdict but name no run" in told


def test_a_foreign_run_is_refused(posts: pd.DataFrame, box: xc.Sandbox, tmp_path: Path) -> None:
    """A record of another run than the rows name would lend them evidence that is not theirs."""
    checked, run = done(posts, box)
    _, other = done(posts.head(3), box)
    with pytest.raises(xc.InputError, match=rf"checked by {run.id}, not by {other.id}"):
        report.write(checked, tmp_path / "r.html", other)
    assert not (tmp_path / "r.html").exists()


# --------------------------------------------------------------------------- a page that stands alone


def test_the_page_stands_alone_and_can_be_read_by_anybody(posts: pd.DataFrame, box: xc.Sandbox, tmp_path: Path) -> None:
    """No script, link or address to fetch; a language, one h1, headings in order, captions, scopes and words for
    each picture, in the page and in the pictures themselves."""
    checked, run = done(posts, box)
    report.write(checked, tmp_path / "r.html", run, column="id")
    text, tree = written(tmp_path / "r.html")
    assert tree.tag == "html"
    assert tree.get("lang") == "en"
    assert not {"script", "link", "iframe", "object", "embed", "base", "form", "a"} & {node.tag for node in tree.iter()}
    assert not [name for node in tree.iter() for name in node.keys() if name.startswith("on") or name == "href"]
    assert not re.search(r"@import|url\(|expression", text)
    (policy,) = [node.get("content") for node in tree.iter("meta") if node.get("http-equiv")]
    assert policy is not None
    assert policy.startswith("default-src 'none'")
    levels = [int(node.tag[1]) for node in tree.iter() if re.fullmatch("h[1-6]", node.tag)]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    assert levels.count(1) == 1
    for node in tree.iter("table"):
        assert words(node.find("caption"))  # type: ignore[arg-type]
        assert all(cell.get("scope") in ("row", "col") for cell in node.iter("th"))
    pictures = list(tree.iter("img"))
    assert len(pictures) == 4
    for picture in pictures:
        assert picture.get("alt")
        drawing = ElementTree.fromstring(svg(picture))
        assert not [node for node in drawing.iter() if node.tag.endswith(("script", "foreignObject"))]
        links = [value for node in drawing.iter() for name, value in node.items() if name.endswith("href")]
        assert all(link.startswith(("#", "data:image/png")) for link in links)
    assert "prefers-color-scheme:dark" in text
    assert "@media print" in text


def svg(picture: ElementTree.Element) -> bytes:
    kind, _, data = (picture.get("src") or "").partition(",")
    assert kind == "data:image/svg+xml;base64"
    return base64.b64decode(data)


def test_no_id_no_token_no_path(posts: pd.DataFrame, box: xc.Sandbox, tmp_path: Path) -> None:
    """The page and its pictures hold no ID and no text of the data, no token, and no folder of this machine."""
    checked, run = done(posts, box)
    report.write(checked, tmp_path / "r.html", run, column="id")
    text, tree = written(tmp_path / "r.html")
    text += "".join(svg(picture).decode() for picture in tree.iter("img"))
    assert not [id for id in IDS if id in text]
    for secret in (box.token, "words of a post", str(tmp_path), str(Path.home()), str(Path(xc.__file__).parent)):
        assert secret not in text
    assert "X-Goog-" not in text


def test_why_a_run_was_stopped_is_not_shown(posts: pd.DataFrame, tmp_path: Path) -> None:
    """An error of the disk names folders; the page shows that the run stopped, and no folder."""
    with xc.Sandbox(processing_seconds=3600) as box:
        run = posts.compliance.submit("id", client=quick(box, poll_interval=0.05))
        run.stop()
        run._error = xc.LedgerError("The ledger at /home/ann cannot be used.")
        report.write(posts.compliance.join("id", run, partial=True), tmp_path / "r.html", run)
    text, _ = written(tmp_path / "r.html")
    assert "Stopped. No result so far" in text
    assert "/home/ann" in repr(run), "it would be shown"
    assert "/home/ann" not in text


def test_foreign_words_stay_words(posts: pd.DataFrame, box: xc.Sandbox, tmp_path: Path) -> None:
    """Labels and reasons with tags, quotes, bidirectional and control characters are shown as text, and counted."""
    run = posts.compliance.submit("id", client=quick(box), label=NASTY)
    checked = posts.compliance.join("id", run)
    flagged = checked["compliance_status"] == "action_required"
    checked["compliance_reason"] = checked["compliance_reason"].astype(object).mask(flagged, NASTY)
    checked["compliance_action"] = checked["compliance_action"].astype(object).mask(flagged, NASTY)
    report.write(checked, tmp_path / "r.html", run)
    text, tree = written(tmp_path / "r.html")
    assert "<script" not in text
    assert "\u202e" not in text
    rows = table(tree, "Rows by status, action and reason")
    assert [row[2:4] for row in rows if row[0] == "action_required"] == [
        ["<script>alert('x')</script>&\"", str(int(flagged.sum()))]
    ]
    assert "<script>alert('x')</script>" in words(tree.find(".//h1"))  # type: ignore[arg-type]


@pytest.mark.parametrize("rows", ["none", "unchecked", "users"])
def test_odd_tables_have_a_report(box: xc.Sandbox, tmp_path: Path, rows: str) -> None:
    """A table without rows, one without any verdict and one of users are reported without a false claim."""
    frame = pd.DataFrame({"author": ["20001", "20002", "20003"]})
    checked = frame.compliance.check("author", type="users", client=quick(box), prefix="u_")
    if rows == "none":
        checked = checked.head(0)
    if rows == "unchecked":
        checked = checked.assign(u_status="unchecked", u_run=None, u_checked_at=None, u_action=None, u_reason=None)
    checked.compliance.report(tmp_path / "r.html", prefix="u_")
    _, tree = written(tmp_path / "r.html")
    expected = {
        "none": "The table has no rows, so nothing was checked.",
        "unchecked": "No row got a verdict, so nothing is known of the 3 rows",
        "users": "we checked the user IDs in 3 rows against a local sandbox",
    }
    assert expected[rows] in words(tree)
    assert len(columns(checked, "u_")) == int(table(tree, "Rows by status, action and reason")[-1][3])


# --------------------------------------------------------------------------- the file


def test_a_file_is_replaced_only_when_asked(posts: pd.DataFrame, box: xc.Sandbox, tmp_path: Path) -> None:
    """A file that exists is left alone, unless overwrite=True: then it is replaced at once and keeps its mode."""
    checked, _ = done(posts, box)
    path = tmp_path / "r.html"
    path.write_text("old")
    path.chmod(0o640)
    with pytest.raises(xc.InputError, match=r"exists already; nothing was written\. Use overwrite=True"):
        checked.compliance.report(path)
    assert path.read_text() == "old"
    before = path.stat().st_ino
    checked.compliance.report(path, overwrite=True)
    assert written(path)[1].tag == "html"
    assert path.stat().st_ino != before
    assert path.stat().st_mode & 0o777 == 0o640
    assert [one.name for one in tmp_path.glob("*r.html*")] == ["r.html"]


def test_a_failing_disk_leaves_the_old_file(
    posts: pd.DataFrame, box: xc.Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the last step fails, the old page stays whole and nothing half-written lies beside it."""
    checked, _ = done(posts, box)
    (tmp_path / "r.html").write_text("old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copymode", full)
    with pytest.raises(xc.InputError, match="No space left on device"):
        report.write(checked, tmp_path / "r.html", overwrite=True)
    assert (tmp_path / "r.html").read_text() == "old"
    assert [one.name for one in tmp_path.glob("*r.html*")] == ["r.html"]


@pytest.mark.parametrize(
    ("path", "words_"),
    [
        ("nowhere/r.html", "The folder of .*nowhere.* does not exist. Make the folder first"),
        ("folder.html", "is a folder. Name a file"),
        ("r.pdf", "Use a name that ends in .html"),
        (None, r"not to a Run. Name it first: report\('report.html', run\)"),
    ],
)
def test_a_wrong_path_is_told_apart(
    posts: pd.DataFrame, box: xc.Sandbox, tmp_path: Path, path: str | None, words_: str
) -> None:
    """Each wrong place is refused with what to do instead, before anything is drawn."""
    checked, run = done(posts, box)
    (tmp_path / "folder.html").mkdir()
    with pytest.raises(xc.InputError, match=words_):
        report.write(checked, run if path is None else tmp_path / path)  # type: ignore[arg-type]


def test_a_run_is_a_run_and_a_frame_is_a_checked_one(posts: pd.DataFrame, box: xc.Sandbox, tmp_path: Path) -> None:
    """A run's name in place of the run, and a frame that was never checked, are told apart and refused."""
    checked, run = done(posts, box)
    with pytest.raises(xc.InputError, match=r"needs the run itself: run=xc.open_run"):
        report.write(checked, tmp_path / "r.html", run.id)  # type: ignore[arg-type]
    with pytest.raises(xc.InputError, match="no column 'compliance_"):
        report.write(posts, tmp_path / "r.html")
    with pytest.raises(xc.InputError):
        report.write(checked, tmp_path / "r.html", column="nothing")
    assert not (tmp_path / "r.html").exists()


def test_runs_of_posts_and_authors_are_both_reported(box: xc.Sandbox, tmp_path: Path) -> None:
    """The dict of runs that submit returns is taken whole: both records stand on the page, and no row is a stranger."""
    rows = pd.DataFrame({"id": [str(1212092628029698048 + n) for n in range(4)], "author_id": ["11", "12", "13", "14"]})
    access = quick(box)
    runs = rows.compliance.submit({"id": "tweets", "author_id": "users"}, client=access)
    checked = rows.compliance.join(runs)
    checked.compliance.apply(client=access)
    checked.compliance.report(tmp_path / "report.html", runs)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert ElementTree.fromstring(page).find("body") is not None
    for run in runs.values():
        assert run.record.ids_sha256 in page
        assert str(run.applied()["sha256"].iloc[-1]) in page
    assert "whose records were not given" not in page
    checked.compliance.report(tmp_path / "one.html", runs["id"])
    assert "whose records were not given" in (tmp_path / "one.html").read_text(encoding="utf-8")
    with pytest.raises(xc.InputError, match="A report needs the run itself"):
        checked.compliance.report(tmp_path / "none.html", [runs["id"], "x"])
