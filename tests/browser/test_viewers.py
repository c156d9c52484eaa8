"""What each viewer shows: docs/notebooks.md has the table, and each of its rows names a test."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pexpect
import pytest
from browser.lab import PATIENCE, ROOT, SETUP, STORY, Lab, Notebook, changes
from playwright.sync_api import Page, expect

RECORDS = (
    "Done. 220 of 498 IDs need action, 278 proved compliant.",  # check, JobMonitor
    "Done. 54 of 160 IDs need action, 106 proved compliant.",  # Run
    "What X listed",  # Run, JobMonitor
    "3 runs in the ledger: 3 done",  # RunBrowser
    "Outcome of 500 rows",  # SummaryPanel
)
LINES = (
    "done: 220 of 498 IDs need action, 278 proved compliant",
    "done: 54 of 160 IDs need action, 106 proved compliant",
    "3 runs in the ledger: 3 done",
    "500 rows: 278 compliant, 221 action_required, 1 unchecked, 0 invalid",
)
CONTROLS_LOST = "Error displaying widget: model not found"
ASLEEP = "The controls need a running kernel; run this cell again."


@pytest.fixture(scope="module")
def story(_lab: Lab) -> Path:
    """A notebook with a cell for each thing that the package shows, run and saved in JupyterLab."""
    notebook = _lab.open(*STORY)
    notebook.run(*range(len(STORY)))
    expect(notebook.output(3)).to_contain_text("What X listed")
    notebook.save()
    _lab.tidy()
    return notebook.path


def tells(page: Page) -> None:
    """Every record is on the page."""
    for record in RECORDS:
        expect(page.locator("body")).to_contain_text(record)


def finished_ones_lost_nothing(notebook: Notebook) -> None:
    """A check, a run and a monitor that are through have no widget that could be lost."""
    for number in (1, 2, 3):
        expect(notebook.output(number)).not_to_contain_text(re.compile("model not found|Loading widget"))


def test_jupyterlab_without_a_kernel(lab: Lab, story: Path) -> None:
    notebook = lab.show_without_kernel(lab.copy(story))
    tells(notebook.page)
    finished_ones_lost_nothing(notebook)
    expect(notebook.page.get_by_text("model not found")).to_have_count(0)
    assert "widgets" not in notebook.path.read_text()[-2000:], "no widget state in the file"


def test_jupyterlab_with_a_new_kernel(lab: Lab, story: Path) -> None:
    """Below the records of RunBrowser and SummaryPanel, JupyterLab says that it has lost their controls."""
    notebook = lab.show(lab.copy(story)).ready()
    tells(notebook.page)
    finished_ones_lost_nothing(notebook)
    expect(notebook.page.get_by_text(CONTROLS_LOST)).to_have_count(2)
    lab.forgive("Error: widget model not found")


def test_a_monitor_saved_half_way_keeps_its_card(lab: Lab) -> None:
    """Saved while its run goes on, a monitor tells the state of then and how to go on, whatever its buttons became."""
    lab.far.hold()
    notebook = lab.open(SETUP, 'run = posts.compliance.submit("id", client=client)\nxc.JobMonitor(run)')
    expect(notebook.run(0, 1)).to_contain_text("processing (waiting)")
    notebook.save()
    later = lab.show_without_kernel(lab.copy(notebook.path))
    for words in ("processing (waiting)", "go on with: xc.open_run", "Loading widget..."):
        expect(later.output(1)).to_contain_text(words)
    later = lab.show(lab.copy(notebook.path)).ready()
    for words in ("processing (waiting)", "go on with: xc.open_run", CONTROLS_LOST):
        expect(later.output(1)).to_contain_text(words)
    lab.forgive("Error: widget model not found")
    later = lab.show_without_kernel(lab.copy(notebook.path, trusted=False))
    for words in ("processing (waiting)", "go on with: xc.open_run", ASLEEP):
        expect(later.output(1)).to_contain_text(words)


def test_jupyterlab_with_a_notebook_from_somebody_else(lab: Lab, story: Path) -> None:
    """Sanitised: the words of every record stay, and words stand where the controls were."""
    notebook = lab.show_without_kernel(lab.copy(story, trusted=False))
    tells(notebook.page)
    finished_ones_lost_nothing(notebook)
    expect(notebook.page.get_by_text(ASLEEP)).to_have_count(2)


def test_nbconvert_html(lab: Lab, story: Path) -> None:
    """The page of `jupyter nbconvert --to html`, with no internet to load anything from."""
    subprocess.run(
        [sys.executable, "-m", "nbconvert", "--to", "html", str(story)],
        env=lab.environment, check=True, capture_output=True, timeout=PATIENCE,
    )  # fmt: skip
    page = lab.visit(story.with_suffix(".html").as_uri())
    tells(page)
    expect(page.get_by_role("progressbar", name=re.compile(r"^Run sandbox-.*: done$"))).to_have_count(3)
    expect(page.get_by_text(ASLEEP)).to_have_count(2)
    lab.forgive("Failed to load resource: net::ERR_NAME_NOT_RESOLVED")  # what nbconvert loads for formulas


def test_notebook_7(lab: Lab) -> None:
    """Live, as in JupyterLab."""
    notebook = lab.show(lab.write(*STORY), "notebooks").ready()
    notebook.run(*range(len(STORY)))
    tells(notebook.page)
    finished_ones_lost_nothing(notebook)
    expect(notebook.output(4).get_by_role("button", name="Refresh")).to_be_enabled()
    expect(notebook.output(5).get_by_role("img", name=re.compile("^Rows by status"))).to_be_visible()


def test_nbclassic(lab: Lab, story: Path) -> None:
    """The saved records."""
    page = lab.show(lab.copy(story), "nbclassic/notebooks").page
    tells(page)
    lab.forgive("Failed to load|Refused to execute script|Error: widget model not found")  # extensions, lost controls


def test_voila(lab: Lab) -> None:
    """Voila runs the notebook and then updates widgets only, so a monitor has to be given as `.panel`."""
    lab.far.hold()
    notebook = lab.write(
        SETUP,
        'run = posts.compliance.submit("id", client=client)\nxc.JobMonitor(run).panel',
        "xc.RunBrowser(client)",
    )
    page = lab.show(notebook, "voila/render").page
    expect(page.get_by_text("processing (waiting)")).to_be_visible()
    changes(page.get_by_text("Elapsed:"))
    expect(page.get_by_role("button", name="Resume")).to_have_count(2)
    lab.far.release()
    expect(page.get_by_text(RECORDS[0])).to_be_visible()
    lab.forgive("Failed to load resource|Error: The getter for the shared module")  # Voila's own


def test_ipython_in_a_terminal(lab: Lab) -> None:
    """One line that is rewritten while a check goes on, and one line for each object."""
    folder = lab.write().parent
    shell = pexpect.spawn(
        sys.executable, ["-m", "IPython", "--no-banner", "--simple-prompt"],
        env={**lab.environment, "TERM": "dumb"}, cwd=folder, dimensions=(50, 250), encoding="utf-8", timeout=PATIENCE,
    )  # fmt: skip
    said = ""
    for number, cell in enumerate(STORY, 1):
        shell.expect_exact(f"In [{number}]: ")
        said += shell.before
        shell.sendline("; ".join(cell.strip().splitlines()))
    shell.expect_exact(f"In [{len(STORY) + 1}]: ")
    said += shell.before
    shell.sendline("exit")
    shell.expect(pexpect.EOF)
    for line in (LINES[0], "Out[3]: <Run sandbox-users-", "Out[4]: sandbox-tweets-", *LINES[2:]):
        assert line in said, said
    assert "<div" not in said


def test_plain_python(lab: Lab) -> None:
    """The same lines from a script."""
    cells = [SETUP, STORY[1], "print(repr(posts.compliance.submit('author_id', type='users', client=client).wait()))"]
    cells += ["print(xc.JobMonitor(posts.compliance.submit('id', client=client).wait()))"]
    cells += ["print(xc.RunBrowser(client))", "print(xc.SummaryPanel(checked))"]
    folder = lab.write().parent
    (folder / "script.py").write_text("\n".join(cells))
    said = pexpect.run(
        f"{sys.executable} script.py", env=lab.environment, cwd=folder, timeout=PATIENCE, encoding="utf-8"
    )
    for line in LINES:
        assert line in said, said
    assert "<div" not in said


def test_the_table_names_tests_that_exist() -> None:
    """docs/notebooks.md leans on no test that is not there, and on all in this file."""
    here = Path(__file__).parent
    there = {name for path in here.glob("test_*.py") for name in re.findall(r"^def (test_\w+)", path.read_text(), re.M)}
    named = set(re.findall(r"`(test_\w+)`", (ROOT / "docs" / "notebooks.md").read_text()))
    mine = set(re.findall(r"^def (test_\w+)", Path(__file__).read_text(), re.M)) - {
        "test_the_table_names_tests_that_exist"
    }
    assert named <= there
    assert mine <= named
