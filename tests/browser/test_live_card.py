"""The card in a real JupyterLab: it moves, it stays, and everybody can read it."""

from __future__ import annotations

import re

import pytest
from browser.lab import DARK, LIGHT, SETUP, Lab, Notebook, changes, contrasts, severe
from playwright.sync_api import expect

CHECK = 'checked = posts.compliance.check("id", client=client)'
WIDGET_LOST = re.compile("model not found|Loading widget")


@pytest.fixture
def notebook(lab: Lab) -> Notebook:
    """A notebook whose check is through and saved."""
    notebook = lab.open(SETUP, CHECK)
    notebook.run(0, 1)
    notebook.save()
    return notebook


def test_check_shows_a_card_that_moves_while_the_cell_runs(lab: Lab) -> None:
    """Words and numbers change while the cell is at [*]; then the card says what came out, and the cell ends."""
    lab.far.hold()
    notebook = lab.open(SETUP, CHECK)
    notebook.run(0)
    card = notebook.start(1)
    expect(card).to_contain_text("processing (waiting)")
    changes(card.get_by_text("Elapsed:"))
    changes(card.get_by_text("Next look in"))
    expect(notebook.prompt(1)).to_have_text("[*]:")
    lab.far.release()
    expect(card.get_by_role("status")).to_contain_text("Done. 220 of 498 IDs need action")
    expect(card).to_contain_text("✓ joined")
    expect(notebook.prompt(1)).to_have_text("[2]:")


def test_an_interrupted_check_says_how_to_go_on_and_goes_on(lab: Lab) -> None:
    """The stop button ends the cell and nothing else: the card says how to go on, and the same cell does."""
    lab.far.hold()
    notebook = lab.open(SETUP, CHECK)
    notebook.run(0)
    card = notebook.start(1)
    expect(card).to_contain_text("processing (waiting)")
    notebook.interrupt()
    expect(card).to_contain_text(re.compile(r"To go on: xc\.open_run"))
    expect(notebook.prompt(1)).to_have_text("[2]:")
    lab.far.release()
    expect(notebook.run(1).get_by_role("status")).to_contain_text("Done.")
    assert len(lab.far.service.jobs) == 1


def test_the_card_stays_when_the_page_is_loaded_again(notebook: Notebook) -> None:
    """A reload of the page, with the kernel alive, shows the same last card and no lost widget."""
    before = notebook.output(1).inner_text()
    notebook.reload()
    expect(notebook.output(1)).to_have_text(before, use_inner_text=True)
    expect(notebook.page.get_by_text(WIDGET_LOST)).to_have_count(0)


def test_the_card_stays_when_the_kernel_is_shut_down(notebook: Notebook) -> None:
    """Shutting the kernel down changes nothing that is shown."""
    before = notebook.output(1).inner_text()
    notebook.shut_down()
    expect(notebook.page.get_by_text("No Kernel").first).to_be_visible()
    expect(notebook.output(1)).to_have_text(before, use_inner_text=True)


def test_a_saved_notebook_without_a_kernel_tells_what_happened(lab: Lab, notebook: Notebook) -> None:
    """Opened from disk, trusted, with no kernel: the card as it was, and no lost widget."""
    before = notebook.output(1).inner_text()
    later = lab.show_without_kernel(lab.copy(notebook.path))
    expect(later.output(1)).to_have_text(before, use_inner_text=True)
    expect(later.output(1).get_by_role("progressbar")).to_be_visible()
    expect(later.page.get_by_text(WIDGET_LOST)).to_have_count(0)


def test_a_notebook_from_somebody_else_is_readable(lab: Lab, notebook: Notebook) -> None:
    """JupyterLab's sanitiser takes colours, frames and roles from untrusted outputs; the words stay, legible."""
    before = notebook.output(1).inner_text()
    foreign = lab.copy(notebook.path, trusted=False)
    later = lab.show_without_kernel(foreign)
    expect(later.output(1)).to_have_text(before, use_inner_text=True)
    expect(later.output(1).get_by_role("status")).to_have_count(0)  # the sanitiser was at work
    assert contrasts(later.output(1))[0][0] >= 4.5


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_the_card_is_legible(lab: Lab, theme: str) -> None:
    """Every word of a card that waits and of one that is done has a contrast of 4.5 at least (WCAG AA)."""
    lab.theme(theme)
    lab.far.hold()
    notebook = lab.open(SETUP, CHECK)
    expect(notebook.page.locator("body")).to_have_attribute("data-jp-theme-light", str(theme == LIGHT).lower())
    notebook.run(0)
    card = notebook.start(1)
    expect(card).to_contain_text("processing (waiting)")
    waiting = contrasts(card)
    lab.far.release()
    expect(card).to_contain_text("Done.")
    done = contrasts(card)
    assert len(waiting) > 8 <= len(done), "the words were seen"
    assert min(waiting[0], done[0])[0] >= 4.5, (waiting[0], done[0])


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_the_card_is_accessible(lab: Lab, theme: str) -> None:
    """axe finds nothing serious; the bar has the run and the stage for a name, and a screen reader hears the status."""
    lab.theme(theme)
    lab.far.hold()
    notebook = lab.open(SETUP, CHECK)
    notebook.run(0)
    card = notebook.start(1)
    expect(card.get_by_role("progressbar", name=re.compile(r"^Run sandbox-\S+: processing$"))).to_be_visible()
    expect(card.get_by_role("status")).to_have_text("Waiting. No result so far.")
    assert severe(notebook.page) == []
    lab.far.release()
    expect(card.get_by_role("progressbar", name=re.compile(r"^Run sandbox-\S+: done$"))).to_be_visible()
    expect(card.get_by_role("status")).to_contain_text("Done.")
    expect(card.get_by_role("status")).to_have_attribute("aria-live", "polite")
    assert severe(notebook.page) == []


def test_the_watch_for_severe_findings_can_find_some(lab: Lab) -> None:
    """What the two tests above rely on: axe and the contrasts do notice faults in an output."""
    notebook = lab.open(
        "from IPython.display import HTML\nHTML('<p style=\"color:#aaa;background:#fff\">faint</p><button></button>')"
    )
    output = notebook.run(0)
    assert [finding.partition(":")[0] for finding in severe(notebook.page)] == ["button-name", "color-contrast"]
    assert contrasts(output)[0] == (pytest.approx(2.32, abs=0.01), "faint")


def test_no_token_is_on_the_page_or_in_the_file(lab: Lab, notebook: Notebook) -> None:
    """The service's token reached the kernel by its environment; it is in no output, page or file of the notebook."""
    assert lab.far.token not in notebook.page.content()
    assert lab.far.token not in notebook.path.read_text()
    assert lab.far.token not in lab.log.read_text()
