"""Every notebook runs from top to bottom in a fresh kernel, tells the truth, and shows no token."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))

AGREES = """
def _agrees(frame, truth, prefix="compliance_"):
    for name in ("status", "action", "reason"):
        ours, theirs = frame[prefix + name].astype(object), truth[name].astype(object)
        assert ours.where(ours.notna(), None).tolist() == theirs.where(theirs.notna(), None).tolist(), name
"""
# What is asked of each notebook's own variables when it is through. A new notebook needs a word here.
TRUTH = {
    "01_quickstart.ipynb": """
assert len(posts) == len(checked) == 2000
assert "compliance_status" not in posts
_agrees(checked, box.expected(posts["id"], "tweets"))
_agrees(later, box.expected(posts["id"], "tweets"))
_agrees(again, box.expected(posts["id"], "tweets"))
_agrees(both, box.expected(posts["author_id"], "users"), "author_")
assert again["id"].dropna().tolist() == posts["id"].dropna().tolist()
assert sorted(job.type for job in box.service.jobs) == ["tweets", "tweets", "users"]
assert len(flagged) + len(compliant) == box.expected(posts["id"])["status"].isin(["action_required", "compliant"]).sum()
""",
    "02_background_jobs_and_resume.ipynb": """
_truth = box.expected(posts["id"], "tweets")
assert 0 < (_truth["status"] == "action_required").sum() < len(posts) == 1996
for _frame in (checked, second, rescued, third):
    _agrees(_frame, _truth)
assert len(box.service.jobs) == 5, "one job for each check, however often it was interrupted"
assert kernel.returncode not in (0, None), "it was killed"
assert listed.loc[name, ["label", "state"]].tolist() == ["survivor", "unfinished"]
assert listed["state"].drop(name).tolist() == ["done"] * 3
assert (xc.runs()["state"].drop(name) == "done").all() and len(xc.runs()) == 5
_listed = posts["id"][(_truth["status"] == "action_required").to_numpy()]
assert set(run.result()["id"]) == set(_listed.str.strip()) and run.result()["sent"].all()
assert xc.runs().set_index("label").loc["on a budget", "requests"] > 2
""",
    "03_charts_and_report.ipynb": """
from pathlib import Path
from xml.etree import ElementTree
_agrees(checked, box.expected(posts["id"], "tweets"))
assert posted.notna().sum() == checked["id"].str.fullmatch("[0-9]{15,19}").sum() > 1900
assert strange.sum() == 3 and checked.loc[strange, "id"].isin(checked.loc[~strange, "id"]).all()
assert panels.shape == (2, 2) and Path("overview.pdf").read_bytes().startswith(b"%PDF")
_page = Path("report.html").read_text(encoding="utf-8")
assert ElementTree.fromstring(_page).find("body") is not None
assert run.record.ids_sha256 in _page and box.token not in _page
assert not [id for id in posts["id"].dropna() if len(id) > 15 and id in _page]
_flagged = int((box.expected(posts["id"])["status"] == "action_required").sum())
assert f": {_flagged:,} (" in checked.compliance.sentence()
""",
    "04_posts_and_users.ipynb": """
_posts, _users = box.expected(posts["id"], "tweets"), box.expected(posts["author_id"], "users")
for _name, _truth in (("id", _posts), ("author_id", _users)):
    _agrees(checked, _truth, f"compliance_{_name}_")
_both = pd.DataFrame({"post": _posts["status"], "author": _users["status"]})
_expected = [
    next(word for word in ("action_required", "unchecked", "invalid", "compliant") if word in row)
    for row in _both.itertuples(index=False)
]
for _frame in (checked, later):
    assert _frame["compliance_status"].tolist() == _expected
assert len(missed) > 0 and set(missed["compliance_cause"]) == {"author"}
_gone = set(posts["id"][(_posts["action"] == "delete").to_numpy()])
for _row in threads.itertuples(index=False):
    _told = str(_row.compliance_references)
    assert ("retweeted" in _told) == (_row.retweeted_id in _gone)
    assert ("quoted" in _told) == bool(_gone & set(str(_row.quoted_ids).split()))
assert not set(kept["id"]) & _gone and not set(kept["retweeted_id"].dropna()) & _gone
assert len(stricter) < len(kept)
assert rows["ids"].tolist() == posts["id"][:5].tolist()
""",
    "05_clean_a_dataset.ipynb": """
_posts, _users = box.expected(posts["id"], "tweets"), box.expected(posts["author_id"], "users")
_geo = ["scrub_geo", "geo_scrubbed"]
_gone = (_posts["action"] == "delete") & ~_posts["reason"].isin(_geo) | (_users["action"] == "delete")
assert clean.index.tolist() == posts.index[~_gone.to_numpy()].tolist()
_scrubbed = _posts["action"].isin(_geo) & ~_gone
assert _scrubbed.any() and clean.loc[_scrubbed.index[_scrubbed], ["lat", "lon", "place"]].isna().all(axis=None)
assert (redacted["text"].isna() >= _gone).all() and redacted["id"].dropna().isin(posts["id"]).all()
assert {run.status for run in run_of.values()} == {"forgotten"} and run_of["id"].applied()["holds"].all()
_records = [json.loads(line) for line in lines]
_ids = [record["id"] for record in _records]
_status = dict(zip(_ids, older.expected(_ids, "tweets")["action"]))
_author = dict(zip(_ids, older.expected([record["author_id"] for record in _records], "users")["action"]))
_left = {json.loads(line)["id"] for line in after}
assert _left <= set(_ids) and not [id for id in _left if _status[id] == "delete" or _author[id] == "delete"]
assert len(set(lines) & set(after)) > 500
""",
    "06_recheck_every_day.ipynb": """
assert tuesday["compliance_run"].nunique() == 2 and len(posts) == 1995
_agrees(later, box.expected(posts["id"], "tweets"))
assert again["compliance_status"].tolist() == tuesday["compliance_status"].tolist()
_ids = {name: set(changed.loc[changed["change"] == name, "id"]) for name in changed["change"].cat.categories}
assert _ids["back again"] == set(back["id"]) and _ids["newly gone"] == set(gone["id"])
assert _ids["reason changed"] == set(other["id"])
assert not set(clean["id"]) & set(findings["id"]) and set(clean["id"]) == set(posts["id"]) - set(findings["id"])
""",
}
# What stays in the saved notebook below a cell, because the text beside it promises it.
SAID = {
    "01_quickstart.ipynb": {"plot-reasons": "image/png", "plot-status": "image/png"},
    "02_background_jobs_and_resume.ipynb": {
        "problems": "scientific notation",
        "monitor": "Done. ",
        "timeout": "has not ended in time; its job goes on. Go on: xc.open_run",
        "again": "Continuing the unfinished run",
        "jobs": "2",
        "stop-run": "stopped",
        "await": "done",
        "runs": "unfinished",
        "open": "stopped",
        "same": "True 4",
        "browser": "4 runs in the ledger: 4 done",
        "budget": "The budget of 2 requests for this run is spent.",
        "forget": "forgotten",
    },
    "03_charts_and_report.ipynb": {
        "status": "image/png",
        "reasons": "image/png",
        "timeline": "image/png",
        "delay": "image/png",
        "by": "image/png",
        "by-counts": "image/png",
        "overview": "image/png",
        "ax": "image/png",
        "panel": "SANDBOX: invented verdicts",
        "sentence": "SANDBOX, NOT FOR PUBLICATION",
        "report": "report.html",
        "later": "True",
    },
    "04_posts_and_users.ipynb": {
        "both": "SANDBOX",
        "cause": "author",
        "plot": "image/png",
        "sentence": "the post and user IDs",
        "submit": "['id', 'author_id']",
        "join": "True",
        "references": "gone: retweeted, quoted",
        "changes": "dropped",
        "explode": "155055890654636938",
    },
    "05_clean_a_dataset.ipynb": {
        "changes": "geo blanked",
        "apply": "unchecked, so nothing proves them compliant",
        "record": "True",
        "policy": "https://docs.x.com/developer-terms/policy",
        "forget": "forgotten",
        "clean": "retweeted post",
        "again": "(0, True)",
    },
    "06_recheck_every_day.ipynb": {
        "stale": "495",
        "max-age": "are reused; 495 are sent",
        "nothing": "nothing is sent",
        "diff": "back again",
        "diff-plot": "image/png",
    },
}
# How many cards a cell leaves, if not one: two jobs run side by side, or nothing is sent.
CARDS = {
    "04_posts_and_users.ipynb": {"both": 2, "join": 2},
    "05_clean_a_dataset.ipynb": {"check": 2},
    "06_recheck_every_day.ipynb": {"nothing": 0},
}
SECRET = "open({path!r}, 'w').write(box.token); None"


def source(name: str) -> Any:
    return nbformat.read(ROOT / "notebooks" / name, as_version=4)


def texts(outputs: list[Any]) -> str:
    """All that a reader of the saved notebook could see, pictures included."""
    return json.dumps(outputs)


@pytest.fixture(params=[path.name for path in NOTEBOOKS], scope="module")
def ran(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """(name, notebook as it ran, token): in a copy of the folders, by this Python, as a reader's Jupyter would."""
    folder = tmp_path_factory.mktemp("copy")
    for name in ("notebooks", "data"):
        shutil.copytree(ROOT / name, folder / name)
    kernel = folder / "jupyter" / "kernels" / "python3"
    kernel.mkdir(parents=True)
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    (kernel / "kernel.json").write_text(json.dumps({"argv": argv, "display_name": "Python 3", "language": "python"}))
    notebook = source(request.param)
    cells = len(notebook.cells)
    for code in (AGREES + TRUTH[request.param], SECRET.format(path=str(folder / "secret"))):
        notebook.cells.append(nbformat.v4.new_code_cell(code))
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("XCOMPLIANCE_PROGRESS", raising=False)
        patch.setenv("XCOMPLIANCE_HOME", str(folder / "home"))
        patch.setenv("JUPYTER_PATH", str(folder / "jupyter"))
        patch.setenv("IPYTHONDIR", str(folder / "ipython"))
        patch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep))
        client = nbclient.NotebookClient(
            notebook, timeout=120, resources={"metadata": {"path": str(folder / "notebooks")}}
        )
        client.execute()
    notebook.cells = notebook.cells[:cells]
    return request.param, notebook, (folder / "secret").read_text()


def test_there_is_a_notebook() -> None:
    """The tests below have something to run on, and each notebook has its truth here."""
    assert {path.name for path in NOTEBOOKS} == set(TRUTH) == set(SAID)


@pytest.mark.parametrize("name", [path.name for path in NOTEBOOKS])
def test_a_notebook_is_stored_clean(name: str) -> None:
    """Stored without outputs or counts, for the kernel python3, in format 4.5 with an ID for each cell."""
    notebook = source(name)
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    assert notebook.metadata.kernelspec.name == "python3"
    ids = [cell.id for cell in notebook.cells]
    assert len(set(ids)) == len(ids)
    for cell in notebook.cells:
        assert cell.cell_type == "markdown" or (cell.outputs, cell.execution_count) == ([], None), cell.id


def test_it_runs_and_agrees_with_the_truth(ran: Any) -> None:
    """Every cell ran without an error, and the asserts on its variables, added at the end, held."""
    name, notebook, _ = ran  # an error in any cell, ours included, would have raised
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert cell.execution_count is not None, cell.id
            assert all(output.output_type != "error" for output in cell.outputs), (name, cell.id)


def test_the_last_state_of_the_card_stays(ran: Any) -> None:
    """A cell that checks or joins, and is not cut short on purpose, keeps a card for each job, with the final state in
    words, marked as invented, beside a plain line."""
    name, notebook, _ = ran
    cards = {
        cell.id: [output.data for output in cell.outputs if "Compliance check of" in texts([output])]
        for cell in notebook.cells
        if cell.cell_type == "code"
        and (".compliance.check(" in cell.source or ".compliance.join(" in cell.source)
        and "except xc.WaitTimeout" not in cell.source
    }
    assert cards
    for cell, shown in cards.items():
        assert len(shown) == CARDS.get(name, {}).get(cell, 1), cell
        for card in shown:
            assert "Done. " in card["text/html"]
            assert "✓&#160;joined" in card["text/html"]
            assert "SANDBOX" in card["text/html"]
            assert "  done: " in card["text/plain"]


def test_the_text_keeps_its_promises(ran: Any) -> None:
    """What the text announces stands below the cells: states, errors caught, pictures, the moved card of a monitor."""
    name, notebook, _ = ran
    shown = {cell.id: texts(cell.outputs) for cell in notebook.cells if cell.cell_type == "code"}
    for cell, words in SAID[name].items():
        assert words in shown[cell], cell


def test_warnings_point_at_the_reader_s_cell(ran: Any) -> None:
    """A warning names the notebook's own line, not a file inside of the package."""
    _, notebook, _ = ran
    said = [output.text for cell in notebook.cells for output in cell.get("outputs", ()) if output.get("text")]
    assert any("ComplianceWarning" in text for text in said)
    assert all("xcompliance_pd/" not in text for text in said)


def test_no_token_is_shown(ran: Any) -> None:
    """The sandbox's token, the like of a real one, is in no output; nor is any signed URL."""
    _, notebook, token = ran
    shown = texts([cell.get("outputs", []) for cell in notebook.cells])
    assert len(token) > 20
    assert token not in shown
    assert "X-Goog-" not in shown
    assert "sandbox-tweets-" in shown, "the outputs were looked at"
