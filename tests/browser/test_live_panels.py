"""The panels in a real JupyterLab: every control does its work, is found by its name, and can be read."""

from __future__ import annotations

import re

import pytest
from browser.lab import DARK, LIGHT, SETUP, Lab, Notebook, changes, contrasts, severe
from playwright.sync_api import Locator, expect

SUBMIT = 'run = posts.compliance.submit("id", client=client)'
MONITOR = "xc.JobMonitor(run)"
SUMMARY = 'posts["lang"] = ["en", "de", "fr", "ja"] * 125\nxc.SummaryPanel(posts.compliance.check("id", client=client))'


def press(place: Locator, name: str) -> None:
    place.get_by_role("button", name=name, exact=True).click()


def button(place: Locator, name: str) -> Locator:
    return place.get_by_role("button", name=name, exact=True)


# --------------------------------------------------------------------------- JobMonitor


def test_submit_leaves_the_kernel_free_and_the_monitor_moves(lab: Lab) -> None:
    """While the job runs, the monitor's cell is through, its numbers change, and another cell computes 1 + 1."""
    lab.far.hold()
    notebook = lab.open(SETUP, SUBMIT, MONITOR, "1 + 1")
    monitor = notebook.run(0, 1, 2)
    expect(monitor).to_contain_text("processing (waiting)")
    changes(monitor.get_by_text("Elapsed:"))
    expect(notebook.run(3)).to_contain_text("2")
    changes(monitor.get_by_text("Elapsed:"))
    lab.far.release()
    expect(monitor.get_by_role("status").first).to_contain_text("Done. 220 of 498 IDs need action")


def test_the_monitor_moves_while_another_cell_blocks_the_kernel(lab: Lab) -> None:
    """The run's own thread brings the news, so a long computation does not stop them."""
    lab.far.hold()
    notebook = lab.open(SETUP, SUBMIT, MONITOR, "import time\nwhile not run.done(): time.sleep(0.05)")
    monitor = notebook.run(0, 1, 2)
    notebook.start(3)
    changes(monitor.get_by_text("Elapsed:"))
    expect(notebook.prompt(3)).to_have_text("[*]:")
    lab.far.release()
    expect(monitor.get_by_role("status").first).to_contain_text("Done.")
    expect(notebook.prompt(3)).to_have_text("[4]:")


def test_a_running_run_as_last_line_is_its_monitor(lab: Lab) -> None:
    """`run` alone shows the card and the buttons."""
    lab.far.hold()
    notebook = lab.open(SETUP, f"{SUBMIT}\nrun")
    monitor = notebook.run(0, 1)
    expect(monitor.get_by_role("progressbar", name=re.compile("^Run sandbox-"))).to_be_visible()
    expect(button(monitor, "Stop watching")).to_be_enabled()


def test_stop_watching_stops_and_resume_goes_on(lab: Lab) -> None:
    """Stopped means that nobody looks; the job is the same one when the run goes on, and the end needs no press."""
    lab.far.hold()
    notebook = lab.open(SETUP, SUBMIT, MONITOR, "run.status")
    monitor = notebook.run(0, 1, 2)
    expect(monitor).to_contain_text("processing (waiting)")
    expect(button(monitor, "Resume")).to_be_disabled()
    press(monitor, "Stop watching")
    expect(monitor).to_contain_text("processing (stopped here)")
    expect(button(monitor, "Stop watching")).to_be_disabled()
    expect(notebook.run(3)).to_contain_text("stopped")
    press(monitor, "Resume")
    expect(monitor).to_contain_text("processing (waiting)")
    expect(button(monitor, "Resume")).to_be_disabled()
    lab.far.release()
    expect(monitor.get_by_role("table")).to_contain_text("suspended")
    expect(monitor.get_by_role("button")).to_have_count(0)  # so none is left to lose its kernel
    assert len(lab.far.service.jobs) == 1


def test_show_results_shows_a_table_of_counts(lab: Lab) -> None:
    """In a layout of one's own the buttons stay; the table counts what X listed, and names no ID."""
    notebook = lab.open(SETUP, SUBMIT, "xc.JobMonitor(run.wait()).panel")
    panel = notebook.run(0, 1, 2)
    expect(panel.get_by_role("table")).to_have_count(0)
    press(panel, "Show results")
    expect(panel.get_by_role("columnheader")).to_have_text(["action", "reason", "IDs"])
    counts = panel.get_by_role("row").filter(has_text="delete").locator("td:last-child").all_inner_texts()
    assert sum(map(int, counts)) == 220


# --------------------------------------------------------------------------- RunBrowser


def test_the_browser_resumes_a_run_after_the_kernel_was_restarted(lab: Lab) -> None:
    """A new kernel, which knows nothing but the disk, lists the run, goes on with it, and makes no second job."""
    lab.far.hold()
    notebook = lab.open(SETUP, SUBMIT, "xc.RunBrowser(client)")
    notebook.run(0, 1)
    notebook.restart()
    browser = notebook.run(0, 2)
    expect(browser).to_contain_text("1 run in the ledger: 1 unfinished")
    expect(browser.get_by_role("option", name=re.compile("^sandbox-tweets-.* unfinished 498 IDs"))).to_be_visible()
    press(browser, "Resume")
    expect(browser.get_by_role("progressbar", name=re.compile(": processing$"))).to_be_visible()
    lab.far.release()
    expect(browser.get_by_role("progressbar", name=re.compile(": done$"))).to_be_visible()
    press(browser, "Show results")
    expect(browser.get_by_role("table")).to_contain_text("suspended")
    assert len(lab.far.service.jobs) == 1


def test_open_shows_a_run_and_makes_no_request(lab: Lab) -> None:
    """Open looks at the disk only; the run that nobody watches stays where it is."""
    lab.far.hold()
    notebook = lab.open(SETUP, f"{SUBMIT}\nrun.stop()", "xc.RunBrowser()")
    browser = notebook.run(0, 1, 2)
    press(browser, "Open")
    expect(browser).to_contain_text("(stopped here)")
    made = browser.get_by_text(re.compile("requests? made")).inner_text()
    press(browser, "Refresh")
    press(browser, "Open")
    expect(browser.get_by_text(re.compile("requests? made"))).to_have_text(made)


def test_forget_asks_before_it_forgets(lab: Lab) -> None:
    """Keep it keeps; only the second button deletes, and a run that goes on is not forgotten."""
    notebook = lab.open(SETUP, f"{SUBMIT}\nrun.wait()", "xc.RunBrowser(client)", "client.runs().state.item()")
    browser = notebook.run(0, 1, 2)
    expect(button(browser, "Yes, forget it")).to_be_hidden()
    press(browser, "Forget")
    expect(browser.get_by_text("are deleted from this machine")).to_be_visible()
    press(browser, "Keep it")
    expect(button(browser, "Yes, forget it")).to_be_hidden()
    expect(notebook.run(3)).to_contain_text("done")
    press(browser, "Forget")
    press(browser, "Yes, forget it")
    expect(browser.get_by_text(re.compile("was forgotten"))).to_be_visible()
    expect(browser.get_by_role("option", name=re.compile("^sandbox-.* forgotten "))).to_have_count(1)
    expect(notebook.run(3)).to_contain_text("forgotten")


def test_the_filter_finds_runs(lab: Lab) -> None:
    """Typing narrows the list by label; the state narrows it further."""
    notebook = lab.open(
        SETUP,
        'for label in ("spring", "autumn"):\n'
        '    posts.compliance.submit("id", client=client, label=label, fresh=True).wait()',
        "xc.RunBrowser(client)",
    )
    browser = notebook.run(0, 1, 2)
    runs = browser.get_by_label("Runs").get_by_role("option")
    expect(runs).to_have_count(2)
    browser.get_by_label("Filter").fill("autumn")
    expect(runs).to_have_count(1)
    expect(runs).to_contain_text("autumn")
    browser.get_by_label("State").select_option("failed")
    expect(runs).to_have_count(0)


# --------------------------------------------------------------------------- SummaryPanel


@pytest.fixture
def summary(lab: Lab) -> Notebook:
    notebook = lab.open(SETUP, SUMMARY)
    notebook.run(0, 1)
    return notebook


def tab(place: Locator, name: str) -> None:
    place.get_by_role("tab", name=name, exact=True).click()


def test_each_tab_shows_its_chart_in_words_too(summary: Notebook) -> None:
    """A press on a tab shows a chart with a text for who cannot see it; the last tab is the table."""
    panel = summary.output(1)
    for name, words in {
        "Status": "compliant: 278",
        "Reasons": "suspended",
        "Over time": "SANDBOX",
        "Redaction delay": "SANDBOX",
        "By group": "n = 500 rows",
    }.items():
        tab(panel, name)
        expect(panel.get_by_role("tab", name=name, exact=True)).to_have_attribute("aria-selected", "true")
        expect(panel.get_by_role("img", name=re.compile(words)).and_(panel.locator("img:visible"))).to_be_visible()
    tab(panel, "Table")
    expect(panel.get_by_role("table").last).to_contain_text("suspended")
    expect(panel.get_by_role("table")).to_have_count(2)  # the record above it is the other one


def test_groups_and_shares_can_be_chosen(summary: Notebook) -> None:
    """The picture follows the column and the choice of shares or counts."""
    panel = summary.output(1)
    picture = panel.locator("img:visible")
    tab(panel, "By group")
    panel.get_by_label("Group by").select_option("lang")
    expect(panel.get_by_role("img", name=re.compile("lang"))).to_be_visible()
    shares = picture.get_attribute("src")
    press(panel, "Counts")
    expect(picture).not_to_have_attribute("src", shares or "")


def test_save_figure_writes_a_file_and_overwrites_none(summary: Notebook) -> None:
    """The file is beside the notebook; a name that is taken, or has no ending, is told in words."""
    panel, file = summary.output(1), summary.path.parent / "status.png"
    for name, answer in (("status", "ends in"), ("status.png", "Saved status.png"), ("status.png", "exists already")):
        panel.get_by_label("File name").fill(name)
        press(panel, "Save figure")
        expect(panel.get_by_role("status").filter(has_text=answer)).to_be_visible()
    assert file.read_bytes().startswith(b"\x89PNG")


# --------------------------------------------------------------------------- for everybody


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_the_panels_are_legible_and_accessible(lab: Lab, theme: str) -> None:
    """axe finds nothing serious in any of them, and every word has a contrast of 4.5 at least."""
    lab.theme(theme)
    lab.far.hold()
    notebook = lab.open(SETUP, SUBMIT, MONITOR, "xc.RunBrowser(client)", SUMMARY)
    monitor = notebook.run(0, 1, 2)
    browser = notebook.run(3)
    press(browser, "Forget")
    expect(monitor).to_contain_text("processing (waiting)")
    for place in (monitor, browser):
        assert contrasts(place)[0][0] >= 4.5, contrasts(place)[0]
    assert severe(notebook.page) == []
    lab.far.release()
    expect(monitor.get_by_role("table")).to_be_visible()
    notebook.run(4)
    for place in (monitor, notebook.output(4)):
        assert contrasts(place)[0][0] >= 4.5, contrasts(place)[0]
    assert severe(notebook.page) == []
