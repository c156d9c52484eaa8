"""The panels: their buttons do what they say, what they show is true and stays, and showing never disturbs a job."""

from __future__ import annotations

import asyncio
import base64
import functools
import json
import math
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import ipywidgets
import numpy as np
import pandas as pd
import pytest
from chart_support import frame, untouched_globals  # noqa: F401  the fixture holds for every test here
from ipywidgets.widgets.widget import _instances
from support import quick

import xcompliance_pd as xc
from xcompliance_pd import charts, results
from xcompliance_pd.lifecycle import Snapshot
from xcompliance_pd.protocol import JobType
from xcompliance_pd.run import Run
from xcompliance_pd.runner import Clock
from xcompliance_pd.verdicts import Covered
from xcompliance_pd.widgets import browser, card, live, monitor, panel

PATIENCE = 30.0
IDS = [str(1212092628029698048 + n) for n in range(4)]
FINDINGS = [
    f'{{"id":"{IDS[0]}","action":"delete","reason":"suspended"}}',
    f'{{"id":"{IDS[1]}","action":"delete","reason":"suspended"}}',
    f'{{"id":"{IDS[2]}","action":"delete","reason":"deleted"}}',
]
ROWS = [["delete", "suspended", "2"], ["delete", "deleted", "1"]]
VIEW = "application/vnd.jupyter.widget-view+json"


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it never happened"
        threading.Event().wait(0.005)


# --------------------------------------------------------------------------- the far side


class Far(xc.Sandbox):
    """A sandbox whose jobs end when a test says so, and the runs that were started against it."""

    def __init__(self, dialect: str = "gcs") -> None:
        super().__init__(FINDINGS, dialect, complete_after=1)
        self.runs: list[Run] = []
        self.hold()

    def hold(self) -> None:
        self.service.processing_seconds = math.inf

    def release(self) -> None:
        self.service.processing_seconds = 0

    def open(self, *, label: str | None = None, **settings: Any) -> Run:
        """Return a new run that nobody drives yet."""
        ids = np.array(IDS, dtype=np.int64)
        return self.mine(self.quick(**settings).start([ids], JobType.TWEETS, label=label, fresh=True)[0])

    def submit(self, **settings: Any) -> Run:
        """Return a run that its background thread drives, while the job goes on."""
        run = self.open(**settings).start()
        until(lambda: run.snapshot().stage == "processing")
        return run

    def quick(self, **settings: Any) -> xc.Client:
        return quick(self, **{"poll_interval": 0.01, **settings})

    def mine(self, run: Run) -> Run:
        self.runs.append(run)
        return run


@pytest.fixture
def far() -> Iterator[Far]:
    with Far() as sandbox:
        yield sandbox
        for run in sandbox.runs:
            run.stop()


# --------------------------------------------------------------------------- the near side


class Place:
    """What stands in one output, as IPython's DisplayHandle would have put it there."""

    def __init__(self) -> None:
        self.bundles: list[dict[str, Any]] = []

    def display(self, bundle: dict[str, Any], *, raw: bool) -> None:
        assert raw
        self.bundles.append(bundle)

    update = display

    @property
    def html(self) -> str:
        return str(self.bundles[-1]["text/html"])

    @property
    def widget(self) -> Any:
        return _instances[self.bundles[-1][VIEW]["model_id"]]


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> list[Place]:
    """A notebook's screen: its outputs, in the order in which they were made."""
    places: list[Place] = []

    def place() -> Place:
        places.append(Place())
        return places[-1]

    for module in (panel, monitor):
        monkeypatch.setattr(module, "place", place)
    monkeypatch.setattr(live, "in_notebook", lambda: True)
    monkeypatch.setenv(live.VARIABLE, "auto")
    return places


def formatted(thing: object) -> dict[str, Any]:
    """What IPython makes of the last line of a cell; nothing if the thing has shown itself."""
    formatters = pytest.importorskip("IPython.core.formatters")
    return formatters.DisplayFormatter().format(thing)[0]  # type: ignore[no-any-return]


def tree(widget: Any) -> Iterator[Any]:
    yield widget
    for part in getattr(widget, "children", ()):
        yield from tree(part)


def named(widget: Any, name: str) -> Any:
    """The one control with this name."""
    (found,) = (part for part in tree(widget) if getattr(part, "description", None) == name)
    return found


def press(widget: Any, name: str) -> None:
    button = named(widget, name)
    assert not button.disabled, name
    button.click()


def words(html: str) -> str:
    return " ".join(" ".join(ElementTree.fromstring(f"<body>{html}</body>").itertext()).split())


def said(widget: Any) -> str:
    """All that the HTML parts of a widget say."""
    return " ".join(words(part.value) for part in tree(widget) if isinstance(part, ipywidgets.HTML))


def cells(html: str) -> list[list[str]]:
    body = ElementTree.fromstring(f"<body>{html}</body>").find(".//tbody")
    return [] if body is None else [["".join(cell.itertext()) for cell in row] for row in body]


def enabled(widget: Any) -> list[str]:
    """The buttons that can be seen and pressed."""
    if getattr(widget.layout, "display", None) == "none":
        return []
    if isinstance(widget, ipywidgets.Button):
        return [] if widget.disabled else [widget.description]
    return [name for part in getattr(widget, "children", ()) for name in enabled(part)]


# --------------------------------------------------------------------------- JobMonitor


def test_the_card_moves_and_the_buttons_follow(far: Far) -> None:
    """The panel shows each stage that the run's thread reaches, and a button can be pressed only when it has a use."""
    run = far.submit()
    watch = xc.JobMonitor(run)
    box = watch.panel
    until(lambda: "◷ processing (waiting)" in said(box))
    assert enabled(box) == ["Stop watching", "Cancel job"]
    far.release()
    until(lambda: "Done. 3 of 4 IDs need action, 1 proved compliant." in said(box))
    assert enabled(box) == ["Show results"]
    assert watch.panel is box


def test_the_numbers_move_while_nothing_happens(far: Far, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job that takes its time shows each time other numbers."""
    monkeypatch.setattr("xcompliance_pd.run.TICK", 0.01)
    monkeypatch.setattr(live, "PAUSE", 0.0)
    box = xc.JobMonitor(far.submit()).panel
    seen: set[str] = set()
    until(lambda: seen.add(said(box)) or len(seen) >= 3)  # type: ignore[func-returns-value]


def test_stop_watching_stops_and_resume_goes_on(far: Far) -> None:
    """Stop leaves the job and makes the run `stopped`; Resume goes on with the same job; the end needs no press."""
    run = far.submit()
    box = xc.JobMonitor(run).panel
    press(box, "Stop watching")
    until(lambda: "processing (stopped here)" in said(box))
    assert run.status == "stopped"
    assert "Next look" not in said(box)
    assert enabled(box) == ["Resume", "Cancel job"]
    press(box, "Resume")
    until(lambda: enabled(box) == ["Stop watching", "Cancel job"])
    assert run.status in ("running", "waiting")
    far.release()
    until(lambda: "Done." in said(box))
    assert len(far.service.jobs) == 1


def held_back(gate: threading.Event) -> tuple[Clock, threading.Event]:
    """A clock whose pause ends at the gate only, like an exchange that takes its time, and whether it is in one.

    The pause does not hear `stop`.
    """
    inside = threading.Event()

    def pause(stop: threading.Event, seconds: float) -> bool:
        inside.set()
        return gate.wait(PATIENCE)

    return Clock(pause=pause), inside


def joins(run: Run, monkeypatch: pytest.MonkeyPatch) -> list[float | None]:
    """How long the run's thread is waited for, from now on."""
    found: list[float | None] = []
    monkeypatch.setattr(run._thread, "join", lambda timeout=None: found.append(timeout))
    return found


def test_stop_watching_does_not_block(far: Far, monkeypatch: pytest.MonkeyPatch) -> None:
    """The button returns while the thread is still in an exchange, and is not pressed twice; the end is told later."""
    gate = threading.Event()
    clock, inside = held_back(gate)
    run = far.submit(clock=clock)
    assert inside.wait(PATIENCE)  # a thread that is not yet in the pause would hear `stop` and end
    box, waited = xc.JobMonitor(run).panel, joins(run, monkeypatch)
    try:
        press(box, "Stop watching")
        assert run.status in ("running", "waiting"), "the thread lives"
        assert set(waited) <= {0}
        assert enabled(box) == ["Cancel job"]
    finally:
        gate.set()
    until(lambda: enabled(box) == ["Resume", "Cancel job"])


def test_stop_with_no_timeout_tells_and_does_not_wait(far: Far, monkeypatch: pytest.MonkeyPatch) -> None:
    """`run.stop(timeout=0)` comes back while the thread lives; the run is `stopped` as soon as that has ended."""
    gate = threading.Event()
    clock, inside = held_back(gate)
    run = far.submit(clock=clock)
    assert inside.wait(PATIENCE)  # a thread that is not yet in the pause would hear `stop` and end
    waited = joins(run, monkeypatch)
    try:
        run.stop(timeout=0)
        assert run.status in ("running", "waiting")
        assert set(waited) <= {0}
    finally:
        gate.set()
    until(lambda: run.status == "stopped")


def test_cancel_asks_and_only_yes_cancels(monkeypatch: pytest.MonkeyPatch) -> None:
    """The button asks first; "no" changes nothing, "yes" returns at once, and the card tells that it was cancelled."""
    with Far("xapi") as far:
        run = far.submit()
        box = xc.JobMonitor(run).panel
        press(box, "Cancel job")
        assert enabled(box) == ["Stop watching", "Cancel job", "Yes, cancel it", "Let it go on"]
        press(box, "Let it go on")
        assert enabled(box) == ["Stop watching", "Cancel job"]
        assert run.record.batches[0].cancels is None
        press(box, "Cancel job")
        waited = joins(run, monkeypatch)
        press(box, "Yes, cancel it")
        assert waited == []
        until(lambda: "Batch 1 was cancelled." in said(box))
        assert enabled(box) == []
        assert [job.failed for job in far.service.jobs] == [True]


def test_where_nothing_can_be_cancelled_the_card_says_so(far: Far) -> None:
    """On the older dialect the run is as before, and can be resumed."""
    run = far.submit()
    box = xc.JobMonitor(run).panel
    press(box, "Cancel job")
    press(box, "Yes, cancel it")
    until(lambda: "This service cannot cancel jobs (HTTP 405), so nothing was changed" in said(box))
    assert enabled(box) == ["Resume", "Cancel job"]
    press(box, "Resume")
    far.release()
    until(lambda: "Done." in said(box))


def test_show_results_shows_counts_and_no_id(far: Far) -> None:
    """The table counts what X listed by action and reason; a sandbox's is marked, in a line of its own."""
    far.release()
    run = far.open().wait()
    box = xc.JobMonitor(run).panel
    assert "suspended" not in said(box)
    press(box, "Show results")
    (html,) = (part.value for part in tree(box) if isinstance(part, ipywidgets.HTML) and "<table" in part.value)
    assert cells(html) == ROWS
    found = ElementTree.fromstring(html)
    assert found.findtext(".//caption") == "What X listed"
    assert words(html).startswith(card.SANDBOX)
    assert not any(id in html for id in IDS)


def test_results_that_prove_nothing_any_more_are_told(far: Far) -> None:
    """A result file that was changed is no table, but words."""
    far.release()
    run = far.open().wait()
    run.covered()  # what was verified during the run is in memory until it is asked for
    (file,) = run._runner.ledger.folder(run.id).glob("results-*")
    file.write_bytes(b"")
    box = xc.JobMonitor(run).panel
    press(box, "Show results")
    assert "was changed after it was written" in said(box)


def test_large_results_are_read_by_hand_only(far: Far, monkeypatch: pytest.MonkeyPatch) -> None:
    """The end of a run reads no results that take long; it says how to read them."""
    monkeypatch.setattr(monitor, "LISTED_MAX", 2)
    far.release()
    run = far.open().wait()
    html = xc.JobMonitor(run).record()["text/html"]
    assert "suspended" not in html
    assert f'xc.open_run("{run.id}").result()' in words(html)


def test_many_kinds_of_findings_end_in_others(far: Far, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a table with too many rows the last one counts the rest, so that the sum is right."""
    monkeypatch.setattr(monitor, "ROWS_MAX", 1)
    far.release()
    assert monitor.counts(far.open().wait().covered()) == [("(other)", "(2 other kinds)", 3)]


def test_records_of_others_are_not_counted() -> None:
    """A record about an ID that was not sent is none of what X listed of ours."""
    lines = [f'{{"id":"{id}","action":"delete","reason":"deleted"}}\n'.encode() for id in (21, 22)]
    part = Covered(np.array([20, 21]), results.read(lines).findings, True, None, "run")
    assert monitor.counts([part]) == [("delete", "deleted", 1)]


def test_a_run_that_wait_drives_moves_too(far: Far) -> None:
    """With `wait` in another thread the run counts as driven, its monitor moves, and Stop watching ends that wait."""
    run = far.open()
    box = xc.JobMonitor(run).panel
    assert enabled(box) == ["Resume", "Cancel job"]
    errors: list[BaseException] = []

    def drive() -> None:
        try:
            run.wait()
        except xc.WaitTimeout as error:
            errors.append(error)

    for ended in ("processing (stopped here)", "Done."):
        thread = threading.Thread(target=drive, daemon=True)
        thread.start()
        until(lambda: enabled(box) == ["Stop watching", "Cancel job"] and "processing (waiting)" in said(box))
        assert run.status in ("running", "waiting")
        if ended == "Done.":
            far.release()
        else:
            press(box, "Stop watching")
        thread.join(PATIENCE)
        until(lambda ended=ended: ended in said(box))
        assert run.status == ("done" if ended == "Done." else "stopped")
    assert len(errors) == 1


def test_what_happens_while_a_monitor_is_made_is_shown(far: Far, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that ends between the first look and the first watch is shown at its end."""
    run = far.submit()
    watch = run.add_watch

    def late(function: Callable[[Snapshot], None]) -> Callable[[], None]:
        far.release()
        run.wait()
        return watch(function)

    monkeypatch.setattr(run, "add_watch", late)
    assert "Done." in said(xc.JobMonitor(run).panel)


def test_at_the_end_plain_html_takes_the_place_of_the_buttons(far: Far, screen: list[Place]) -> None:
    """Two outputs, a card and the buttons. When the run ends there is no widget in them any more, nor anywhere."""
    before = set(_instances)
    run = far.submit()
    assert formatted(xc.JobMonitor(run)) == {}
    shown, controls = screen
    assert VIEW not in shown.bundles[0]
    assert enabled(controls.widget) == ["Stop watching", "Cancel job"]
    assert "Stop" not in controls.html, "words for those who see no widgets"
    far.release()
    until(lambda: VIEW not in controls.bundles[-1])
    assert shown.bundles[-1] == card.bundle(run.snapshot())
    assert cells(controls.html) == ROWS
    until(lambda: set(_instances) == before)


def test_a_monitor_that_is_shown_twice_ends_in_both_places(far: Far, screen: list[Place]) -> None:
    """The second display is of the same two places, so no output is left behind."""
    watch = xc.JobMonitor(far.submit())
    formatted(watch)
    formatted(watch)
    assert len(screen) == 2
    far.release()
    until(lambda: VIEW not in screen[1].bundles[-1])


@pytest.mark.parametrize("shown", [False, True])
def test_a_monitor_in_a_layout_keeps_its_buttons(far: Far, screen: list[Place], shown: bool) -> None:
    """`panel` is somebody's own layout, so nothing in it is closed at the end, even if a cell shows the monitor too."""
    watch = xc.JobMonitor(far.submit())
    if shown:
        formatted(watch)
    box = watch.panel
    far.release()
    until(lambda: "Done." in said(box))
    until(lambda: all(VIEW not in place.bundles[-1] for place in screen))
    assert all(part.comm is not None for part in tree(box))
    press(box, "Show results")
    assert "suspended" in said(box)


def test_closing_a_monitor_leaves_the_run_alone(far: Far, screen: list[Place]) -> None:
    """The card stays as it is, the buttons give way to words, and the run goes on; it can be shown again."""
    before = set(_instances)
    run = far.submit()
    watch = xc.JobMonitor(run)
    formatted(watch)
    watch.close()
    assert words(screen[1].html) == "This monitor was closed; the run was not."
    assert set(_instances) == before
    assert run.status in ("running", "waiting")
    formatted(watch)
    assert enabled(screen[-1].widget) == ["Stop watching", "Cancel job"]


def test_a_run_that_ended_is_one_plain_output(far: Far, screen: list[Place]) -> None:
    """Nothing will move, so there are card and results in one output without widgets."""
    far.release()
    run = far.open().wait()
    bundle = formatted(xc.JobMonitor(run))
    assert screen == []
    assert VIEW not in bundle
    assert bundle["text/html"].startswith(card.html(run.snapshot()))
    assert cells(bundle["text/html"]) == ROWS
    assert bundle["text/plain"] == card.line(run.snapshot()) == repr(xc.JobMonitor(run))


def test_a_failed_run_is_told(far: Far, screen: list[Place]) -> None:
    """The card says why, and in the place of the buttons it says that there are no results."""
    run = far.submit()
    formatted(xc.JobMonitor(run))
    far.script("get", {"mutate": {"status": "failed"}})
    until(lambda: VIEW not in screen[1].bundles[-1])
    assert "✗ ended without a result" in words(screen[0].html)
    assert "X says it failed" in words(screen[0].html)
    assert words(screen[1].html) == "There are no results."
    assert formatted(xc.JobMonitor(run))["text/plain"].startswith("failed. Go on:")


def test_a_forgotten_run_is_told(far: Far, screen: list[Place]) -> None:
    """A monitor of a run that was forgotten says so, and has nothing to press."""
    run = far.submit()
    run.forget()
    watch = xc.JobMonitor(run)
    assert enabled(watch.panel) == []
    assert "Forgotten. No result." in said(watch.panel)
    bundle = formatted(xc.JobMonitor(run))
    assert screen == []
    assert "Its IDs and results were deleted on" in words(bundle["text/html"])
    assert "There are no results." in words(bundle["text/html"])
    assert "xc.open_run" not in words(bundle["text/html"]), "nothing can be gone on with"
    assert bundle["text/plain"].startswith(f"{run.id}  forgotten:")


def test_a_discarded_run_is_told(far: Far, screen: list[Place]) -> None:
    """A monitor of a run that is gone says so in words, above a press of its button as in its record."""
    run = far.submit()
    watch = xc.JobMonitor(run)
    box = watch.panel
    run.discard()
    until(lambda: enabled(box) == ["Resume", "Cancel job"])
    press(box, "Resume")
    assert f"There is no run {run.id}" in said(box)
    bundle = formatted(watch)
    assert screen == []
    assert "There is no run" in words(bundle["text/html"])
    assert repr(watch) == bundle["text/plain"]
    assert repr(watch).startswith(f"{run.id}  There is no run")


def test_what_is_no_run_is_refused() -> None:
    """The name of a run, for one, gets the advice how to open it."""
    with pytest.raises(xc.InputError, match="open_run"):
        xc.JobMonitor("tweets-20261123-0123abcd")  # type: ignore[arg-type]


# --------------------------------------------------------------------------- watches


def test_a_watch_hears_of_the_run_until_it_ends(far: Far) -> None:
    """Each snapshot is of this run, the last one says done, and a watch that was ended hears nothing."""
    run = far.submit()
    heard: list[Snapshot] = []
    deaf: list[Snapshot] = []
    run.add_watch(heard.append)
    remove = run.add_watch(deaf.append)
    remove()
    remove()
    far.release()
    run.wait()
    assert {snapshot.run_id for snapshot in heard} == {run.id}
    assert heard[-1].state == "done"
    assert deaf == []


def test_a_watch_that_raises_is_logged_and_dropped(far: Far, caplog: pytest.LogCaptureFixture) -> None:
    """It is called once, its error is in the log, the other watch goes on hearing, and the run ends well."""
    calls: list[Snapshot] = []
    heard: list[Snapshot] = []

    def bad(snapshot: Snapshot) -> None:
        calls.append(snapshot)
        raise RuntimeError("a bad watch")

    run = far.open()
    run.add_watch(bad)
    run.add_watch(heard.append)
    run.start()
    far.release()
    run.wait()
    assert run.status == "done"
    assert len(calls) == 1
    assert heard[-1].state == "done"
    assert [record.levelname for record in caplog.records if "a watch of run" in record.message] == ["ERROR"]
    assert "a bad watch" in caplog.text


@pytest.mark.parametrize("where", ["widgets", "outputs"])
def test_a_dead_front_end_never_stops_the_job(
    far: Far, screen: list[Place], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, where: str
) -> None:
    """Whatever a message to the front end raises, the run goes on to its end, and what still works is shown."""
    failed: list[object] = []

    def broken(*arguments: Any, **options: Any) -> None:
        failed.append(arguments)
        raise OSError("the front end is gone")

    run = far.submit()
    formatted(xc.JobMonitor(run))
    if where == "widgets":
        # What is left of other tests' widgets may be taken apart meanwhile, which in ipywidgets 8.0 closes them.
        monkeypatch.setattr(ipywidgets.Widget, "__del__", lambda self: None, raising=False)
        monkeypatch.setattr(ipywidgets.Widget, "_send", broken)
        monkeypatch.setattr(ipywidgets.Widget, "close", broken)
    else:
        monkeypatch.setattr(Place, "update", broken)
    far.release()
    run.wait()
    assert run.status == "done"
    assert failed
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
    if where == "widgets":
        until(lambda: cells(screen[1].html) == ROWS)


def test_stopping_with_a_dead_front_end_stops(far: Far, monkeypatch: pytest.MonkeyPatch) -> None:
    """The button does its work although none of its answers arrives."""
    run = far.submit()
    box = xc.JobMonitor(run).panel
    button = named(box, "Stop watching")
    with monkeypatch.context() as dead:
        dead.setattr(ipywidgets.Widget, "_send", lambda *arguments, **options: 1 / 0)
        button.click()
        until(lambda: run.status == "stopped")


# --------------------------------------------------------------------------- a run as the last line


def test_a_run_that_goes_on_shows_its_monitor(far: Far, screen: list[Place]) -> None:
    """While it runs, the run is its monitor, the same one each time; when it has ended, it is its card."""
    run = far.submit()
    assert formatted(run) == {}
    assert formatted(run) == {}
    assert len(screen) == 2
    assert enabled(screen[1].widget) == ["Stop watching", "Cancel job"]
    far.release()
    until(lambda: VIEW not in screen[1].bundles[-1])
    bundle = formatted(run)
    assert bundle["text/html"] == card.html(run.snapshot())
    assert bundle["text/plain"] == repr(run)
    assert len(screen) == 2


@pytest.mark.parametrize("word", ["none", "terminal", "whatever"])
def test_a_run_is_its_card_where_progress_is_not_wanted(
    far: Far, screen: list[Place], monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    """With the environment's word, even a wrong one, the last line is a card and no widget."""
    monkeypatch.setenv(live.VARIABLE, word)
    bundle = formatted(far.submit())
    assert "Compliance check of 4 post IDs" in bundle["text/html"]
    assert screen == []


# --------------------------------------------------------------------------- without ipywidgets, without a notebook


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python without ipywidgets."""
    monkeypatch.setitem(sys.modules, "ipywidgets", None)


@pytest.mark.usefixtures("bare")
def test_without_ipywidgets_the_record_and_one_line_of_advice(far: Far, screen: list[Place]) -> None:
    """Every panel is its record in plain HTML and text, with what to install; `panel` raises, in words."""
    run = far.submit()
    for thing, words_of_it in (
        (xc.JobMonitor(run), "Compliance check of 4 post IDs"),
        (xc.RunBrowser(far.quick()), "1 unfinished"),
        (xc.SummaryPanel(CHECKED), "4 rows: 1 compliant"),
    ):
        bundle = formatted(thing)
        assert set(bundle) == {"text/html", "text/plain"}
        assert words_of_it in bundle["text/html"] + bundle["text/plain"]
        assert words(bundle["text/html"]).endswith(panel.ADVICE)
        assert bundle["text/plain"].endswith(panel.ADVICE)
        with pytest.raises(xc.InputError, match="pip install ipywidgets"):
            _ = thing.panel
    assert screen == []
    assert formatted(run)["text/html"].startswith("<div")


def test_outside_of_a_notebook_there_is_one_output_without_widgets(far: Far) -> None:
    """In a terminal, or in plain Python, a panel is its record; the text is one line."""
    run = far.submit()
    for thing in (xc.JobMonitor(run), xc.RunBrowser(far.quick()), xc.SummaryPanel(CHECKED)):
        bundle = formatted(thing)
        assert VIEW not in bundle
        assert panel.ADVICE not in bundle["text/html"]
        assert "\n" not in repr(thing)
        assert "object at 0x" not in repr(thing)
    assert "processing" in repr(xc.JobMonitor(run))


# --------------------------------------------------------------------------- RunBrowser


def listed(box: Any) -> list[str]:
    return [run for _, run in named(box, "Runs").options]


@pytest.fixture
def three(far: Far) -> dict[str, Run]:
    """A run that is done, one that failed, and one that nobody drives; the last is the newest."""
    runs = {}
    far.release()
    runs["done"] = far.open(label="spring").wait()
    far.script("get", {"mutate": {"status": "failed"}})
    runs["failed"] = far.open(label="Summer")
    with pytest.raises(xc.JobError):
        runs["failed"].result()
    far.hold()
    runs["unfinished"] = far.open(label="autumn")
    return runs


def test_the_browser_filters_by_text_and_by_state(far: Far, three: dict[str, Run]) -> None:
    """The text is searched in ID, label and type, in any case; both filters narrow the list; none passing is told."""
    browse = xc.RunBrowser(far.quick())
    assert repr(browse) == "3 runs in the ledger: 1 unfinished, 1 done, 1 failed"
    box = browse.panel
    text, state = named(box, "Filter"), named(box, "State")
    assert len(listed(box)) == 3
    for typed, chosen, found in (
        ("SUMMER", "all states", ["failed"]),
        (three["done"].id[-8:], "all states", ["done"]),
        ("tweets", "failed", ["failed"]),
        ("", "unfinished", ["unfinished"]),
        ("spring", "failed", []),
    ):
        text.value, state.value = typed, chosen
        assert listed(box) == [three[name].id for name in found]
    assert "No run passes the filter." in said(box)
    assert enabled(box) == ["Refresh"]
    state.value = "done"
    assert "No run passes" not in said(box)


def test_an_entry_tells_label_state_and_counts(far: Far, three: dict[str, Run]) -> None:
    """Of one batch the state says it all; the ID comes first, and no ID of the data is there."""
    entries = {run: text for text, run in named(xc.RunBrowser(far.quick()).panel, "Runs").options}
    entry = entries[three["done"].id]
    assert re.fullmatch(
        rf"{three['done'].id}  spring  tweets  done  4 IDs  3 listed  \d{{4}}-\d\d-\d\d \d\d:\d\d UTC", entry
    )
    split = far.open(batch_size=2)
    entries = {run: text for text, run in named(xc.RunBrowser(far.quick()).panel, "Runs").options}
    assert "  tweets  unfinished  4 IDs  0 of 2 batches done  0 listed  " in entries[split.id]


def test_the_record_of_the_browser_is_a_plain_list(far: Far, three: dict[str, Run], screen: list[Place]) -> None:
    """Two outputs: a list that stays without a kernel, and the controls; what is too old is counted."""
    assert formatted(xc.RunBrowser(far.quick())) == {}
    record, controls = screen
    assert VIEW in controls.bundles[0]
    rows = cells(record.html)
    assert {row[0] for row in rows} == {run.id for run in three.values()}
    assert {(row[1], row[3]) for row in rows} == {("spring", "done"), ("Summer", "failed"), ("autumn", "unfinished")}


def test_the_record_of_the_browser_has_an_end(far: Far, three: dict[str, Run], monkeypatch: pytest.MonkeyPatch) -> None:
    """A long ledger is cut in the saved notebook, and says so; the controls list all of it."""
    monkeypatch.setattr(browser, "ROWS_MAX", 2)
    browse = xc.RunBrowser(far.quick())
    html = browse.record()["text/html"]
    assert len(cells(html)) == 2
    assert words(html).endswith("and 1 older ones")
    assert len(listed(browse.panel)) == 3


def test_open_shows_a_run_and_asks_nobody(far: Far, three: dict[str, Run]) -> None:
    """Open puts the run's monitor below the list, without a request; another one takes its place and leaves nothing."""
    box = xc.RunBrowser(far.quick()).panel
    asked = len(far.service.jobs), three["unfinished"].snapshot().requests
    chosen = named(box, "Runs")
    sizes = []
    for name in ("unfinished", "done", "unfinished"):
        chosen.value = three[name].id
        press(box, "Open")
        assert f"Run {three[name].id}" in said(box)
        sizes.append(len(_instances))
    assert sizes[0] == sizes[2]
    assert "spring" not in said(box)
    assert (len(far.service.jobs), three["unfinished"].snapshot().requests) == asked
    press(box, "Open")
    assert len(_instances) == sizes[2], "it is open already"


def test_resume_goes_on_with_the_chosen_run(far: Far, three: dict[str, Run]) -> None:
    """Only an unfinished run can be resumed; its monitor moves to the end, and a refresh tells the new state."""
    browse = xc.RunBrowser(far.quick())
    box = browse.panel
    chosen = named(box, "Runs")
    for name, can in (("done", False), ("failed", False), ("unfinished", True)):
        chosen.value = three[name].id
        assert (not named(box, "Resume").disabled) == can
    named(box, "Filter").value = "autumn"
    next(part for part in tree(box) if getattr(part, "description", "") == "Resume").click()
    until(lambda: "processing (waiting)" in said(box))
    far.release()
    until(lambda: "Done." in said(box))
    press(box, "Refresh")
    assert [text for text, _ in chosen.options if " done " in text]
    assert named(box, "Filter").value == "autumn"


def test_forget_asks_and_only_yes_deletes(far: Far, three: dict[str, Run]) -> None:
    """Keep it keeps, and so does a look at another run; Yes deletes the chosen run and no other one."""
    client = far.quick()
    box = xc.RunBrowser(client).panel
    chosen = named(box, "Runs")
    yes = named(box, "Yes, forget it")
    (asking,) = (part for part in tree(box) if {yes} & {*tree(part)} and part.layout.display is not None)
    assert asking.layout.display == "none"
    done = three["done"].id
    chosen.value = done
    press(box, "Open")
    press(box, "Forget")
    assert asking.layout.display != "none"
    assert f"Forget run {done}?" in said(asking)
    press(box, "Keep it")
    assert asking.layout.display == "none"
    press(box, "Forget")
    chosen.value = three["failed"].id
    assert asking.layout.display == "none", "the question was about another run"
    assert len(client.runs()) == 3
    chosen.value = done
    press(box, "Forget")
    press(box, "Yes, forget it")
    assert asking.layout.display == "none"
    told = f"Run {done} was forgotten; its counts stay."
    assert client.runs()["state"].to_dict() == {
        three["failed"].id: "failed",
        three["unfinished"].id: "unfinished",
        done: "forgotten",
    }
    assert told in said(box)
    assert f"Run {done} " not in said(box).replace(told, ""), "nor is it shown any more"
    assert chosen.value == done
    assert named(box, "Forget").disabled
    assert named(box, "Resume").disabled
    named(box, "State").value = "forgotten"
    assert listed(box) == [done]


def test_a_run_that_goes_on_is_not_forgotten(far: Far) -> None:
    """Neither one that this browser drives nor one that somebody else in this process drives."""
    run = far.submit()
    mine = xc.RunBrowser(far.quick()).panel
    press(mine, "Forget")
    press(mine, "Yes, forget it")
    assert f"drives {run.id} at the moment" in said(mine)
    run.stop()
    press(mine, "Resume")
    until(lambda: "processing (waiting)" in said(mine))
    press(mine, "Forget")
    press(mine, "Yes, forget it")
    assert "is going on. Open it and stop watching it first." in said(mine)
    assert run.id in far.quick().runs().index
    buttons = [part for part in tree(mine) if getattr(part, "description", "") == "Stop watching"]
    buttons[0].click()
    until(lambda: "processing (stopped here)" in said(mine))


def test_an_unreadable_run_is_listed_as_such(far: Far, three: dict[str, Run]) -> None:
    """A damaged record is a row with its name and "unreadable"; opening or forgetting it says why in words."""
    run = three["done"]
    (run._runner.ledger.folder(run.id) / "run.json").write_text("{")
    browse = xc.RunBrowser(far.quick())
    assert "1 unreadable" in repr(browse)
    assert [row for row in cells(browse.record()["text/html"]) if row[0] == run.id] == [
        [run.id, "", "", "unreadable", "", "", "", ""]
    ]
    box = browse.panel
    named(box, "State").value = "unreadable"
    assert named(box, "Runs").options == ((f"{run.id}  unreadable", run.id),)
    press(box, "Open")
    assert "is damaged; nothing was deleted" in said(box)
    press(box, "Forget")
    press(box, "Yes, forget it")
    assert "is damaged; nothing was deleted" in said(box)
    assert run._runner.ledger.folder(run.id).exists()


def test_an_error_of_the_ledger_is_told_in_words(far: Far, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of ours is told as it is; any other one only by its kind, because its text may hold anything."""
    client = far.quick()
    far.open()
    box = xc.RunBrowser(client).panel
    for error, told in (
        (xc.LedgerError("The ledger cannot be used (No space left). Free some space."), "Free some space."),
        (ValueError(IDS[0]), "That did not work (ValueError)."),
    ):

        def failing(error: Exception = error) -> pd.DataFrame:
            raise error

        monkeypatch.setattr(client, "runs", failing)
        press(box, "Refresh")
        assert told in said(box)
        assert IDS[0] not in said(box)
    assert len(listed(box)) == 1


def test_an_empty_ledger_is_told(far: Far) -> None:
    """In words in the record, in the controls and in plain text; no button can be pressed for nothing."""
    browse = xc.RunBrowser(far.quick())
    assert repr(browse) == "There is no run in this ledger yet."
    assert "There is no run in this ledger yet." in words(browse.record()["text/html"])
    assert "There is no run in this ledger yet." in said(browse.panel)
    assert enabled(browse.panel) == ["Refresh"]


def test_without_a_client_the_browser_is_of_the_user_s_ledger(far: Far) -> None:
    """`xc.RunBrowser()` lists what `xc.runs()` lists; what is no client is refused."""
    run = far.open()
    assert listed(xc.RunBrowser().panel) == [run.id] == list(xc.runs().index)
    with pytest.raises(xc.InputError, match="client= needs a Client"):
        xc.RunBrowser("somewhere")  # type: ignore[arg-type]


def test_a_label_is_text_and_never_markup(far: Far) -> None:
    """Marks in a label are shown as they are, in the list as in the question."""
    far.open(label="<script>alert(1)</script>")
    browse = xc.RunBrowser(far.quick())
    assert "<script" not in browse.record()["text/html"]
    assert "<script>alert(1)</script>" in words(browse.record()["text/html"])


# --------------------------------------------------------------------------- SummaryPanel

CHECKED = frame(
    ["compliant", "action_required", "action_required", "unchecked"],
    [None, "deleted", "suspended", None],
    compliance_action=[None, "delete", "delete", None],
    lang=["en", "de", "en", "de"],
    posted=pd.to_datetime(["2020-01-01", "2020-02-01", "2020-03-01", "2020-04-01"], utc=True),
    edited=pd.to_datetime(["2021-01-01", "2021-02-01", "2021-03-01", "2021-04-01"], utc=True),
    author_id=["12", "12", "13", "13"],
    id=IDS,
)


def turn(box: Any, name: str) -> str:
    """Open a tab; return its page."""
    (tabs,) = (part for part in tree(box) if isinstance(part, ipywidgets.Tab))
    tabs.selected_index = tabs.titles.index(name)
    (page,) = (part for part in tree(tabs.children[tabs.selected_index]) if isinstance(part, ipywidgets.HTML))
    return str(page.value)


def picture(html: str) -> tuple[bytes, str]:
    """The picture of a page, and its text for who cannot see it."""
    image = ElementTree.fromstring(html)
    kind, data = image.attrib["src"].split(",")
    assert kind == "data:image/png;base64"
    return base64.b64decode(data), image.attrib["alt"]


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the charts that were drawn."""
    names: list[str] = []
    for name in ("status", "reasons", "timeline", "redaction_delay", "by"):

        def draw(original: Any, name: str, *arguments: Any, **options: Any) -> Any:
            names.append(name)
            return original(*arguments, **options)

        monkeypatch.setattr(charts, name, functools.partial(draw, getattr(charts, name), name))
    return names


def test_a_chart_is_drawn_when_its_tab_is_opened_and_once(drawn: list[str]) -> None:
    """Making the panel draws one chart, each tab its own at the first look, and a second look draws nothing."""
    box = xc.SummaryPanel(CHECKED)
    assert drawn == []
    box = box.panel
    assert drawn == ["status"]
    pages = {name: turn(box, name) for name in ("Reasons", "Over time", "By group", "Table", "Status")}
    assert drawn == ["status", "reasons", "timeline", "by"]
    assert {name: turn(box, name) for name in pages} == pages
    assert len(drawn) == 4
    assert all(picture(page)[0].startswith(b"\x89PNG") for name, page in pages.items() if name != "Table")
    assert cells(pages["Table"])[0][0] == "compliant"


def test_a_chart_has_words_for_who_cannot_see_it() -> None:
    """The text of a picture holds the title and each bar's name and number; what it cannot tell, the notes do."""
    box = xc.SummaryPanel(CHECKED).panel
    _, alt = picture(turn(box, "Status"))
    assert "compliant: 1" in alt
    assert "action_required: 2" in alt
    _, alt = picture(turn(box, "Reasons"))
    assert "deleted: 1" in alt
    assert "suspended: 1" in alt
    assert picture(turn(box, "Over time"))[1]


def test_the_group_and_the_measure_can_be_chosen(drawn: list[str]) -> None:
    """Another column or measure is another picture, drawn once each; the measure has no use in the other tabs."""
    checked = CHECKED.assign(country=["a", "b", "b", "c"])
    box = xc.SummaryPanel(checked).panel
    groups = named(box, "Group by")
    assert [name for name, _ in groups.options] == ["lang", "country"], "no ID, no time"
    (measure,) = (part for part in tree(box) if isinstance(part, ipywidgets.ToggleButtons))
    assert measure.disabled
    pages = [turn(box, "By group")]
    assert not measure.disabled
    measure.value = "Counts"
    pages.append(turn(box, "By group"))
    groups.index = 1
    pages.append(turn(box, "By group"))
    measure.value = "Shares"
    pages.append(turn(box, "By group"))
    assert len(set(pages)) == 4
    assert drawn.count("by") == 4
    assert "country" in picture(pages[3])[1]
    groups.index = 0
    assert turn(box, "By group") == pages[0]
    assert drawn.count("by") == 4
    turn(box, "Table")
    assert measure.disabled


def test_the_times_can_be_chosen(drawn: list[str]) -> None:
    """Columns of times and of post IDs are offered; the one that was named comes first."""
    assert [name for name, _ in named(xc.SummaryPanel(CHECKED).panel, "Times").options] == ["posted", "edited", "id"]
    box = xc.SummaryPanel(CHECKED, column="edited").panel
    times = named(box, "Times")
    assert [name for name, _ in times.options] == ["edited", "posted", "id"]
    first = turn(box, "Over time")
    times.index = 1
    assert turn(box, "Over time") != first
    assert drawn.count("timeline") == 2


def test_columns_may_have_any_name() -> None:
    """Names that are numbers, double, markup or empty lead to no error, and a double one is not offered."""
    odd = CHECKED.copy()
    odd.columns = [*CHECKED.columns[:5], "<b>", "x", "x", 7, ""]
    box = xc.SummaryPanel(odd).panel
    assert [name for name, _ in named(box, "Group by").options] == ["<b>", "7"]
    assert "&lt;b&gt;" in turn(box, "By group")


def test_save_writes_the_open_chart_and_overwrites_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each format by its ending; a file that exists stays as it is, and every refusal is told in words."""
    monkeypatch.chdir(tmp_path)
    box = xc.SummaryPanel(CHECKED).panel
    name = named(box, "File name")
    for file, begin in (("a.png", b"\x89PNG"), ("b.SVG", b"<?xml"), ("c.pdf", b"%PDF")):
        name.value = f" {file} "
        press(box, "Save figure")
        assert f"Saved {file}" in said(box)
        assert (tmp_path / file).read_bytes().startswith(begin)
    (tmp_path / "mine.png").write_bytes(b"mine")
    for file, told in (
        ("mine.png", "exists already and was left as it is"),
        ("nowhere/a.png", "cannot be written (No such file or directory)"),
        ("a.jpg", "ends in .png, .svg or .pdf"),
        ("", "ends in .png, .svg or .pdf"),
        (".png", "ends in .png, .svg or .pdf"),
    ):
        name.value = file
        press(box, "Save figure")
        assert told in said(box), file
    assert (tmp_path / "mine.png").read_bytes() == b"mine"
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["a.png", "b.SVG", "c.pdf", "mine.png"]
    turn(box, "Table")
    assert named(box, "Save figure").disabled


def test_a_chart_that_cannot_be_drawn_says_why_in_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """Missing columns are told with what to do; of any other error only the kind, because its text may hold data."""
    box = xc.SummaryPanel(frame(["compliant"], compliance_action=[None])).panel
    assert "no column of times or post IDs" in words(turn(box, "Over time"))
    assert "no column with 2 to 50 different values" in words(turn(box, "By group"))
    assert "compliance_redacted_at" in words(turn(box, "Redaction delay"))
    named(box, "File name").value = "figure.png"
    press(box, "Save figure")
    assert not Path("figure.png").exists()

    def broken(*arguments: Any, **options: Any) -> Any:
        raise ValueError(IDS[0])

    monkeypatch.setattr(charts, "status", broken)
    page = turn(xc.SummaryPanel(CHECKED).panel, "Status")
    assert words(page) == "That did not work (ValueError)."


def test_the_record_of_the_summary_is_the_table_of_counts(screen: list[Place]) -> None:
    """Two outputs: a table that stays without a kernel, marked if it is invented, and the controls."""
    assert formatted(xc.SummaryPanel(CHECKED.assign(compliance_run="sandbox-tweets-20261123-0123abcd"))) == {}
    record, controls = screen
    assert VIEW in controls.bundles[0]
    assert words(record.html).startswith(f"{charts.SANDBOX}. Outcome of 4 rows")
    assert ["action_required", "delete", "deleted", "1", "25.0 %"] in cells(record.html)
    assert charts.SANDBOX not in xc.SummaryPanel(CHECKED).record()["text/html"]


def test_what_is_no_checked_frame_is_refused() -> None:
    """A list, a frame without verdicts, and a column that is not there: each is told at once."""
    for make, told in (
        (lambda: xc.SummaryPanel(IDS), "needs the frame that check"),  # type: ignore[arg-type]
        (lambda: xc.SummaryPanel(pd.DataFrame({"id": IDS})), "compliance_status"),
        (lambda: xc.SummaryPanel(CHECKED, column="nowhere"), "There is no column 'nowhere'"),
    ):
        with pytest.raises(xc.InputError, match=told):
            make()


# --------------------------------------------------------------------------- nothing personal, nothing secret


def test_no_trait_holds_an_id_a_token_or_a_signature(far: Far, pytestconfig: pytest.Config) -> None:
    """A widget's state may be saved in the notebook. In every state of every panel it is counts and words."""
    states: list[str] = []

    def look(box: Any) -> None:
        states.extend(json.dumps(part.get_state(), default=str) for part in tree(box))

    run = far.submit(label="canary")
    watch, browse = xc.JobMonitor(run).panel, xc.RunBrowser(far.quick()).panel
    look(watch)
    press(watch, "Stop watching")
    until(lambda: enabled(watch) == ["Resume", "Cancel job"])
    press(browse, "Resume")
    look(browse)
    far.release()
    until(lambda: "Done." in said(browse))
    press(browse, "Forget")
    for button in tree(browse):
        if getattr(button, "description", "") == "Show results":
            button.click()
    look(browse)
    press(watch, "Resume")
    look(watch)
    posts = pd.DataFrame({"id": IDS, "author_id": IDS[:2] * 2, "lang": ["en", "de"] * 2})
    summary = xc.SummaryPanel(posts.compliance.join("id", run)).panel
    for name in ("Reasons", "Over time", "Redaction delay", "By group", "Table"):
        turn(summary, name)
    look(summary)
    text = "\n".join(states)
    assert "suspended" in text
    assert "canary" in text
    assert not [id for id in IDS if id in text]
    secrets = pytestconfig.pluginmanager.get_plugin("canary").secrets
    assert far.token in secrets
    assert not [secret for secret in secrets if secret in text]
    assert "X-Goog-" not in text


# --------------------------------------------------------------------------- a real kernel


def test_a_saved_notebook_holds_the_static_card_and_no_widget(far: Far, monkeypatch: pytest.MonkeyPatch) -> None:
    """JobMonitor, and a run as the last line, in a kernel: at the end there are cards and tables, and no view."""
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    monkeypatch.delenv(live.VARIABLE)
    sources = (
        f"""
import math, sys
sys.path[:0] = {sys.path!r}
import pandas as pd
import xcompliance_pd as xc
box = xc.Sandbox({FINDINGS!r}, complete_after=1).start()
box.service.processing_seconds = math.inf
run = xc.submit(pd.DataFrame({{"id": {IDS!r}}}), "id", client=box.client)
""",
        "xc.JobMonitor(run)",
        "run",
        "box.service.processing_seconds = 0; run = run.wait()",
        "xc.JobMonitor(run)",
        "box.stop()",
    )
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
    nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    _, monitored, shown, _, plain, _ = (
        [output.data for output in cell.outputs if "data" in output] for cell in notebook.cells
    )
    assert VIEW not in json.dumps([cell.outputs for cell in notebook.cells])
    for first, second in (monitored, shown):
        assert "Done. 3 of 4 IDs need action" in words(first["text/html"])
        assert cells(second["text/html"]) == ROWS
    (only,) = plain
    assert cells(only["text/html"]) == ROWS
    assert not [id for id in IDS if id in json.dumps([cell.outputs for cell in notebook.cells[1:]])]


def test_awaiting_a_run_moves_its_monitor(far: Far) -> None:
    """`await run` drives it in the background, and the panel that was made before hears of the end."""
    run = far.open()
    box = xc.JobMonitor(run).panel
    far.release()

    async def wait() -> None:
        await run

    asyncio.run(wait())
    until(lambda: "Done." in said(box))
