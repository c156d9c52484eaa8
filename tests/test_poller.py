"""How often a run looks, by whose clock, for how long, and at what price: whole runs in simulated time.

One clock is shared by the sandbox and the client; a wait passes at once, so hours of polling take a second. The
requests and their rate-limit headers are real HTTP.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest
import requests

import xcompliance_pd as xc
from xcompliance_pd import lifecycle
from xcompliance_pd import run as run_module
from xcompliance_pd.lifecycle import Snapshot
from xcompliance_pd.protocol import JobType
from xcompliance_pd.runner import Clock
from xcompliance_pd.sandbox import Server
from xcompliance_pd.widgets import card

DIALECTS = ("gcs", "xapi")
START = 1_700_000_000.0
WINDOW = 900.0  # seconds of a rate-limit window
BASIC = (15, 5, 5)  # requests of a window to create, get and list in X's Basic tier
IDS = [str(1212092628029698048 + n * 4_194_304_007) for n in range(40)]


class Time:
    """The service's time, and the client's, which may be wrong by `skew` seconds; `events` happen at their moments."""

    def __init__(self, skew: float = 0.0) -> None:
        self.now = START
        self.skew = skew
        self.events: list[tuple[float, Callable[[], object]]] = []
        self.longest = 0.0

    def clock(self) -> Clock:
        return Clock(lambda: self.now + self.skew, lambda: self.now, self._pause)

    def _pause(self, stop: threading.Event, seconds: float) -> bool:
        self.longest = max(self.longest, seconds)
        self.now += seconds
        while self.events and self.events[0][0] <= self.now:
            self.events.pop(0)[1]()
        return stop.is_set()


class World:
    """A sandbox in simulated time, and a client of it that notes when it asked for what."""

    def __init__(self, skew: float = 0.0, **settings: Any) -> None:
        self.time = Time(skew)
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        self.box = Server(clock=lambda: self.time.now, port=port, **settings).start()
        self.asked: dict[str, list[float]] = {"create": [], "get": [], "list": []}
        spend = self.box.service.spend

        def spending(operation: str) -> Any:
            allowance = spend(operation)
            self.asked[operation].append(self.time.now)
            self.refused += not allowance.granted
            return allowance

        self.refused = 0
        self.box.service.spend = spending  # type: ignore[method-assign]

    def client(self, **settings: Any) -> xc.Client:
        return xc.Client(self.box.token, self.box.url, clock=self.time.clock(), **settings)

    def check(self, **settings: Any) -> list[str]:
        """Check all IDs; return the statuses, which must be the truth."""
        timeout = settings.pop("timeout", None)
        checked = xc.check(pd.DataFrame({"id": IDS}), "id", client=self.client(**settings), timeout=timeout)
        statuses = checked["compliance_status"].astype(str).tolist()
        assert statuses == self.box.expected(IDS)["status"].astype(str).tolist()
        return statuses


SECOND = run_module.TICK


@pytest.fixture(autouse=True)
def _few_ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody looks at the screen, so a simulated quarter of an hour need not be drawn second by second."""
    monkeypatch.setattr("xcompliance_pd.run.TICK", 30.0)


@pytest.fixture
def world(dialect: str) -> Iterator[Callable[..., World]]:
    made: list[World] = []

    def make(**settings: Any) -> World:
        made.append(World(dialect=dialect, **settings))
        return made[-1]

    yield make
    for each in made:
        each.box.stop()


@pytest.mark.parametrize("skew", [0.0, 3 * 3600.0, -3 * 3600.0], ids=["right", "3 h fast", "3 h slow"])
@pytest.mark.parametrize("minutes", [1, 40, 300])
def test_basic_tier(world: Callable[..., World], minutes: int, skew: float) -> None:
    """With five looks in 15 minutes no request is ever refused, however long the job and wrong the local clock.

    The result is noticed within a window of its being there, and an upload window is never missed for the skew.
    """
    far = world(rate_limits=BASIC, processing_seconds=60.0 * minutes, complete_after=1, skew=skew)
    far.check(poll_interval=5.0)
    looks = far.asked["get"]
    assert far.refused == 0
    assert all(sum(at <= other < at + WINDOW for other in looks) <= 5 for at in looks)
    assert looks[-1] - START <= 60 * minutes + WINDOW
    assert max(later - sooner for sooner, later in pairwise(looks)) <= WINDOW if minutes > 1 else True
    assert len(far.asked["create"]) == len(far.box.service.jobs) == 1


def test_three_batches_share_the_basic_tier(world: Callable[..., World]) -> None:
    """Three jobs one after the other in the same windows: still nothing is refused."""
    far = world(rate_limits=BASIC, processing_seconds=1200.0, complete_after=1)
    far.check(poll_interval=5.0, batch_size=14)
    assert far.refused == 0
    assert len(far.asked["create"]) == len(far.box.service.jobs) == 3


def test_looks_grow_apart_with_the_age_of_the_job(world: Callable[..., World]) -> None:
    """Where requests are plenty: from five seconds on, half as much again each time, to a minute, and so it stays."""
    far = world(rate_limits=(150, 10_000, 150), processing_seconds=3600.0, complete_after=1)
    far.check(poll_interval=5.0)
    gaps = [later - sooner for sooner, later in pairwise(far.asked["get"])]
    assert gaps == sorted(gaps)
    assert gaps[:3] == pytest.approx([5.0, 7.5, 11.25])
    assert max(gaps) == pytest.approx(lifecycle.POLL_MAX)
    assert len(gaps) < 70, "an hour's job costs no more than a look a minute"


def test_no_single_wait_is_longer_than_a_second(world: Callable[..., World], monkeypatch: pytest.MonkeyPatch) -> None:
    """However far away the next look is, whoever waits can be stopped, and the screen moves, each second."""
    monkeypatch.setattr("xcompliance_pd.run.TICK", SECOND)
    far = world(rate_limits=BASIC, processing_seconds=2400.0, complete_after=1)
    far.check(poll_interval=5.0)
    assert far.time.longest <= 1.0


@pytest.mark.parametrize("timeout", [30.0, 700.0])
def test_a_deadline_holds_though_the_next_look_is_later(world: Callable[..., World], timeout: float) -> None:
    """A time-out ends the wait when it says, names the way on, and the same run then ends with one job in all."""
    far = world(rate_limits=BASIC, processing_seconds=3600.0, complete_after=1)
    with pytest.raises(xc.WaitTimeout, match=r"its job goes on\. Go on: xc\.open_run"):
        far.check(poll_interval=5.0, timeout=timeout)
    assert far.time.now - START == pytest.approx(timeout, abs=1.0)
    with pytest.warns(xc.ComplianceWarning, match="Continuing"):
        far.check(poll_interval=5.0)
    assert len(far.box.service.jobs) == 1
    assert far.refused == 0


@pytest.mark.parametrize("end", ["failed", "expired"])
def test_a_job_that_will_never_complete_is_not_waited_for(
    world: Callable[..., World], end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failed job stops the run at the next look; one that expired is replaced twice, and then the run stops."""
    far = world(processing_seconds=3600.0, complete_after=1)
    if end == "failed":
        far.time.events = [(START + 100, lambda: far.box.service.fail(far.box.service.jobs[0].id, "no reason"))]
    else:
        monkeypatch.setattr(lifecycle.RunRecord, "sandbox", False)
        far.box.script("upload", *["return-503"] * 100)  # until each upload window has closed
    with pytest.raises(xc.JobError, match="X says it failed" if end == "failed" else "3 jobs ended without"):
        far.check(poll_interval=5.0)
    asked = sum(map(len, far.asked.values()))
    far.time.now += 3600
    assert sum(map(len, far.asked.values())) == asked
    assert len(far.box.service.jobs) == (1 if end == "failed" else 3)


def test_an_outage_is_told_and_survived(world: Callable[..., World], monkeypatch: pytest.MonkeyPatch) -> None:
    """The service is away for 20 minutes: the card says since when, few requests are tried, and the run goes on."""
    monkeypatch.setattr(lifecycle.RunRecord, "sandbox", False)  # a sandbox that is gone stays gone, so X it is
    far = world(processing_seconds=1800.0, complete_after=1)
    far.time.events = [(START + 100, far.box.stop), (START + 1300, far.box.start)]
    run = xc.submit(pd.DataFrame({"id": IDS[:1]}), "id", client=far.client(poll_interval=5.0))
    run.stop()
    seen: list[Snapshot] = []
    run.wait(watch=seen.append)
    told = [snapshot for snapshot in seen if "unreachable" in snapshot.note]
    since = {snapshot.note.split(" (")[0] for snapshot in told}
    assert since == {"The service is unreachable since 22:15 UTC"}, "the time of the first look that failed"
    assert all("unreachable since 22:15" in card.html(snapshot) for snapshot in told)
    assert told[-1].elapsed - told[0].elapsed >= 1000
    assert max(snapshot.requests for snapshot in told) - told[0].requests <= 15, "an outage is not hammered at"
    assert seen[-1].state == "done"
    assert seen[-1].note == ""
    assert len(far.box.service.jobs) == 1


def test_waiting_behind_anothers_job_costs_little_and_survives_a_hiccup(world: Callable[..., World]) -> None:
    """Somebody else's job holds the slot for three hours: Basic's windows are kept, and a lost answer ends nothing."""
    far = world(rate_limits=BASIC, complete_after=1, processing_seconds=3 * 3600.0)
    foreign = far.box.service.create({}, {"type": "tweets", "name": "somebody else's"})["data"]
    requests.put(foreign["upload_url"], b"20\n", headers={"Content-Type": "text/plain"}, timeout=5).raise_for_status()
    far.time.events = [(START + 3600, lambda: far.box.script("create", "return-503"))]
    far.check(poll_interval=5.0)
    assert far.time.now >= START + 6 * 3600
    far.box.assert_all_fired()
    assert far.refused == 0
    assert len(far.asked["create"]) < 60, "three hours of waiting cost no more than this"
    assert len(far.box.service.jobs) == 2


# --------------------------------------------------------------------------- the price


@pytest.mark.parametrize("batch_size", [40, 14])
def test_the_budget_is_shown_before_and_after(world: Callable[..., World], batch_size: int) -> None:
    """The first thing shown says what the run needs at least; the last says what it took, which is what X saw."""
    far = world(processing_seconds=60.0, complete_after=1)
    ids = np.array(IDS, dtype=np.int64)
    run, _ = far.client(batch_size=batch_size, max_requests=77).start([ids], JobType.TWEETS)  # planned, nothing sent
    before = card.html(run.snapshot())
    run.wait()
    after = run.snapshot()
    batches = -(-40 // batch_size)
    assert f"0 requests made, at least {2 * batches} to come, 77 allowed" in before
    spent = sum(map(len, far.asked.values()))
    assert spent >= 2 * batches
    assert after.requests == spent == sum(run.record.requests.values())
    assert f"{spent} requests made" in card.html(after)
    assert after.requests_ahead == 0


def test_what_a_run_needs_at_least_is_what_a_smooth_one_takes(world: Callable[..., World]) -> None:
    """The figure is not a guess: a job that is complete at the first look costs exactly that."""
    far = world(complete_after=1)
    far.check(batch_size=14)
    assert sum(map(len, far.asked.values())) == lifecycle.requests_needed(3)


def test_a_budget_that_cannot_suffice_is_refused_before_anything_is_sent(world: Callable[..., World]) -> None:
    """Five requests for three jobs: nothing is written, nothing is asked, and the message says what to change."""
    far = world()
    with pytest.raises(xc.InputError, match=r"3 batches need at least 6 requests.*max_requests=5") as caught:
        far.check(batch_size=14, max_requests=5)
    assert "batch_size" in str(caught.value)
    assert not any(far.asked.values())
    assert xc.runs().empty


def test_a_spent_budget_stops_and_can_be_raised(world: Callable[..., World]) -> None:
    """The run stops before request 4, says so, and goes on with a client that allows more; no job is made twice."""
    far = world(processing_seconds=3600.0, complete_after=1)
    with pytest.raises(xc.WaitTimeout, match="budget of 3 requests"):
        far.check(max_requests=3)
    assert sum(map(len, far.asked.values())) == 3
    with pytest.warns(xc.ComplianceWarning, match="Continuing"):
        far.check(max_requests=100)
    assert len(far.box.service.jobs) == 1
