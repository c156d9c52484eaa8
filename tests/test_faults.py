"""Every fault of the catalogue, through the whole client: the outcome it must have, and proof that it happened.

`faults.json` holds the catalogue (``entries``), where an entry is tested otherwise (``elsewhere``) and the cases. A
case scripts faults for one operation (and others in ``with``) and says what must come of it:

* ``R``: the client recovers by itself; every row reads as the service knows it.
* ``E``: an error of this package that matches ``says``; once the fault is over the same call gives the truth.
  ``dead``: X ended the job, so the run is over: its rows are unchecked and a new run gives the truth.
* ``U``: listed rows are right (``listed: some``: those that arrived), every other row of that batch is unchecked.
* ``L``: a lie of the service that nothing can detect, kept here so that it is known; the run shows its grade.

``jobs`` is the number of jobs that the batch may cost (default 1); ``first`` is what the row of the result's first
record reads when the fault rewrites that record; ``patience`` is the time-out in seconds; ``poll`` the first wait in
fake seconds; ``real`` makes the run pass for one of the real service.

A case is for both dialects, unless ``dialects`` names one; ``xapi`` holds what is otherwise in the newer one. There is
no checksum there, and no ``x-goog`` header that ``bare`` could take away.
"""

from __future__ import annotations

import ast
import itertools
import json
import os
import re
import threading
import traceback
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import xcompliance_pd as xc
from xcompliance_pd.errors import InputError
from xcompliance_pd.lifecycle import RunRecord
from xcompliance_pd.run import Run
from xcompliance_pd.runner import Clock
from xcompliance_pd.sandbox import Server

HERE = Path(__file__).parent
DATA = json.loads((HERE / "faults.json").read_text())
CASES: list[dict[str, Any]] = DATA["cases"]
DIALECTS = ("gcs", "xapi")
COUNT = 36  # rows
IDS = {
    "tweets": (1212092628029698048 + np.arange(COUNT) * 4_194_304_007).astype(str),
    "users": (2_000 + np.arange(COUNT) * 7).astype(str),
}


def name_of(case: dict[str, Any]) -> str:
    return f"{case['entry']}-{re.sub('[^A-Za-z0-9]+', '-', case['name'])}"


WAYS = list(itertools.product((1, 3), ("tweets", "users"), ("check", "join")))


def spoken(case: dict[str, Any], dialect: str) -> dict[str, Any]:
    """Return the case as it is in a dialect."""
    if dialect == "gcs":
        return case
    case = {**case, **case.get(dialect, {})}
    faults = [
        [rule for rule in fault if rule != "bare"] if isinstance(fault, list) else fault for fault in case["faults"]
    ]
    return {**case, "faults": ["ok" if fault in ([], "bare") else fault for fault in faults]}


def chosen(dialect: str, number: int, way: int) -> bool:
    """Whether the suite runs a case in a way.

    In the older dialect each is run in two of the eight ways, which differ in all three respects and take turns. In the
    newer one, of which most is the same, every second case is run in one way, and each that is not the same in both.
    """
    if os.environ.get("FAULTS") == "all":
        return True
    if dialect == "gcs":
        return number % 4 in (way, len(WAYS) - 1 - way)
    own = "xapi" in CASES[number] or "dialects" in CASES[number]
    return (own or number % 2 == 0) and way == number // 2 % len(WAYS)


def executions() -> list[Any]:
    """Every case as one batch and as three, with both types, blocking and in the background, in both dialects."""
    return [
        pytest.param(spoken(case, dialect), dialect, *way, id="-".join(map(str, (dialect, name_of(case), *way))))
        for dialect in DIALECTS
        for number, case in enumerate(CASES)
        if dialect in case.get("dialects", DIALECTS)
        for place, way in enumerate(ways(case))
        if chosen(dialect, number, place)
    ]


def ways(case: dict[str, Any]) -> list[tuple[int, str, str]]:
    """Return the ways in which a case can be run; the others stand where they stood, as ways of one batch."""
    return [(batches if batches in case.get("batches", (1, 3)) else 1, type, driver) for batches, type, driver in WAYS]


class FakeTime:
    """The time of both sides: it passes only while the client waits, and then tenfold, as on a busy machine.

    A client that spins instead of waiting is found out.
    """

    def __init__(self) -> None:
        self.seconds = 1_790_000_000.0
        self._asked = 0

    def __call__(self) -> float:
        self._asked += 1
        assert self._asked < 10_000, "the client spins: it asks for the time again and again without waiting"
        return self.seconds

    def pause(self, stop: threading.Event, seconds: float) -> bool:
        self.seconds += 10 * seconds
        self._asked = 0
        return stop.is_set()


@dataclass
class Story:
    """What the user met: a frame or an error, and the warnings."""

    checked: pd.DataFrame | None
    error: xc.ComplianceError | None
    warned: list[str]
    run: Run


class User:
    """Checks one column, blocking or in the background; asked again, goes on as a user would."""

    def __init__(self, driver: str, frame: pd.DataFrame, type: str, client: xc.Client) -> None:
        self._driver, self._frame, self._type, self._client = driver, frame, type, client
        self._run: Run | None = None

    def asks(self) -> Story:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            checked, error = None, None
            try:
                checked = self._check() if self._driver == "check" else self._submit_and_join()
            except xc.ComplianceError as problem:
                error = problem
        warned = [str(warning.message) for warning in caught if warning.category is xc.ComplianceWarning]
        run = self._client.open_run(self._client.runs().index[0])
        return Story(checked, error, [text for text in warned if "Continuing" not in text], run)

    def takes_what_there_is(self, run: Run) -> pd.DataFrame:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return self._frame.compliance.join("id", run, partial=True)

    def _check(self) -> pd.DataFrame:
        return self._frame.compliance.check("id", type=self._type, client=self._client)

    def _submit_and_join(self) -> pd.DataFrame:
        if self._run is None or self._run.done():
            self._run = self._frame.compliance.submit("id", type=self._type, client=self._client)
            for thread in threading.enumerate():
                if thread.name == self._run.id:
                    thread.join(30)
            error = self._run.exception()
            if error is not None and not self._run.done():
                raise error
        return self._frame.compliance.join("id", self._run)


def agrees(checked: pd.DataFrame, truth: pd.DataFrame) -> None:
    for name in ("status", "action", "reason"):
        ours, theirs = checked[f"compliance_{name}"].astype(object), truth[name].astype(object)
        pd.testing.assert_series_equal(ours.where(ours.notna(), None), theirs, check_names=False)


def expected(box: Server, case: dict[str, Any], frame: pd.DataFrame, type: str) -> pd.DataFrame:
    """Return the truth, with the row that the case's own record speaks of."""
    truth = box.expected(frame["id"], type)
    if "first" in case:
        (first, *_) = (job.result for job in box.service.jobs if job.result is not None)
        row = frame["id"] == json.loads(first.data.partition(b"\n")[0])["id"]
        for name, value in case["first"].items():
            truth.loc[row, name] = value
    return truth


def unproved(checked: pd.DataFrame, truth: pd.DataFrame, sent: Iterable[str], listed: str) -> None:
    """The rows of the batch in question say no more than what arrived; all other rows are the truth."""
    inside = checked["id"].isin(list(sent))
    agrees(checked[~inside], truth[~inside])
    shown = inside & (checked["compliance_status"] == "action_required")
    agrees(checked[shown], truth[shown])
    assert (checked["compliance_status"][inside & ~shown] == "unchecked").all()
    if listed == "all":
        assert (shown == (inside & (truth["status"] == "action_required"))).all()


def tells_no_secret(box: Server, home: Path, *stories: Story) -> None:
    texts = [path.read_text(errors="replace") for path in home.rglob("*") if path.is_file()]
    for story in stories:
        texts += [*story.warned, repr(story.run), story.run.snapshot().note]
        if story.error is not None:
            texts += [repr(story.error), *traceback.format_exception(story.error)]
    for text in texts:
        assert box.token not in text
        assert not re.search(r"X-Goog-|token=|[a-f][0-9a-f]{99}", text)


@pytest.mark.parametrize(("case", "speaks", "batches", "type", "driver"), executions())
def test_fault(
    case: dict[str, Any],
    speaks: str,
    batches: int,
    type: str,
    driver: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The outcome is the one that the case states; no listed row is ever compliant, no job too many, no secret told."""
    if case.get("real"):
        monkeypatch.setattr(RunRecord, "sandbox", property(lambda self: False))
    time = FakeTime()
    frame = pd.DataFrame({"id": IDS[type]})
    outcome, dead = case["outcome"], case.get("dead", False)
    with Server(dialect=speaks, clock=time) as box:
        for operation, faults in {case["operation"]: case["faults"], **case.get("with", {})}.items():
            box.script(operation, *faults)
        client = xc.Client(
            box.token,
            box.url,
            batch_size=COUNT // batches,
            poll_interval=case.get("poll", 0),
            http_timeout=(5.0, case.get("patience", 30.0)),
            clock=Clock(time, time, time.pause),
        )
        user = User(driver, frame, type, client)
        story = user.asks()
        truth = expected(box, case, frame, type)
        partial = user.takes_what_there_is(story.run)
        box.assert_all_fired()
        if outcome != "L":
            assert not ((partial["compliance_status"] == "compliant") & (truth["status"] == "action_required")).any()
        jobs = case.get("jobs", 1) + batches - 1
        stories = [story]
        if outcome == "E":
            assert story.error is not None
            assert re.search(case["says"], str(story.error))
            assert len(box.service.jobs) <= jobs
            if dead:
                assert isinstance(story.error, xc.JobError)
                unproved(partial, truth, box.service.jobs[0].upload.data.decode().split(), "some")
                jobs += batches
            stories.append(user.asks())
            agrees(stories[1].checked, truth)
            assert stories[1].error is None
        else:
            assert story.error is None, story.error
        if outcome == "R":
            assert story.warned == []
            agrees(story.checked, truth)
        if outcome == "U":
            (warning,) = story.warned
            assert re.search(case["says"], warning)
            unproved(story.checked, truth, box.service.jobs[0].upload.data.decode().split(), case.get("listed", "all"))
        if outcome == "L":
            false = (story.checked["compliance_status"] == "compliant") & (truth["status"] == "action_required")
            assert false.any(), "this lie is found out after all: change the outcome"
        if "grade" in case:
            assert case["grade"] in story.run.snapshot().grades
        assert len(box.service.jobs) == jobs
        assert box.service.authorized_byte_requests == 0
        tells_no_secret(box, tmp_path / "home", *stories)


# --------------------------------------------------------------------- the catalogue


def rules(fault: Any) -> Iterable[str]:
    """Return a fault's rules as texts."""
    for part in fault if isinstance(fault, list) else [fault]:
        yield part if isinstance(part, str) else json.dumps(part)


def instructions() -> set[str]:
    faults = [fault for case in CASES for fault in case["faults"]]
    faults += [fault for case in CASES for more in case.get("with", {}).values() for fault in more]
    return {rule for fault in faults for rule in rules(fault)} - {"ok"}


def test_there_is_enough_of_everything() -> None:
    """At least 600 executions of at least 60 different instructions, under names of their own."""
    names = {re.split('[:"]', rule.removeprefix('{"'))[0] for rule in instructions()}
    print(
        f"{len(executions())} executions of {len(CASES)} cases, {len(instructions())} instructions, {len(names)} names"
    )
    assert len(executions()) >= 600
    assert len(names) >= 60
    assert len({name_of(case) for case in CASES}) == len(CASES)


def test_both_sides_have_something_to_lose() -> None:
    """Every batch of the column has rows that are listed and rows that are not, or a fault could not show."""
    with Server() as box:
        for type, ids in IDS.items():
            status = box.expected(ids, type)["status"].to_numpy().reshape(3, -1)
            assert ((status == "compliant").sum(axis=1) > 1).all()
            assert ((status == "action_required").sum(axis=1) > 1).all()


@pytest.mark.parametrize("entry", DATA["entries"])
def test_every_entry_is_covered(entry: str) -> None:
    """Each of the 64 entries has a case here, a test that exists, or a reason."""
    assert len(DATA["entries"]) == 64
    elsewhere = DATA["elsewhere"].get(entry)
    assert elsewhere or any(case["entry"] == entry for case in CASES)
    for place in elsewhere if isinstance(elsewhere, list) else ():
        path, _, function = place.partition("::")
        tree = ast.parse((HERE.parent / path).read_text())
        assert function in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("fault", ["nonsense", "cut:x", "echo", {"mutate": "{"}])
def test_a_fault_that_is_none_is_refused(fault: Any) -> None:
    """A misspelt fault is an error at once, not a test that tests nothing."""
    with pytest.raises(InputError, match=r"[Ff]ault"):
        Server().script("get", fault)
