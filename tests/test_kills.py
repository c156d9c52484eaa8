"""SIGKILL at every point of a run: the same final frame, and not one job too many. `kill_points` says what a point is.

``benchmarks/kill_pairs.py`` runs every pair of points, where this module takes a sample.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator

import pytest
from kill_points import Kills, Outcome, drivers, sample_pairs

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")


@pytest.fixture(scope="module")
def one_batch() -> Iterator[Kills]:
    with Kills(batches=1) as kills:
        yield kills


@pytest.fixture(scope="module")
def three_batches() -> Iterator[Kills]:
    with Kills(batches=3) as kills:
        yield kills


def all_right(outcomes: dict[object, Outcome]) -> None:
    bad = {case: outcome for case, outcome in outcomes.items() if not outcome.right}
    first = next(((case, outcome.surplus, outcome.wrong) for case, outcome in bad.items()), None)
    assert not bad, f"{len(bad)} of {len(outcomes)} cases went wrong; the first: {first}"


def test_an_undisturbed_run_passes_the_same_points_each_time(one_batch: Kills) -> None:
    """Without a kill: the truth, one job, no leftovers, and a course that repeats, so that points have numbers."""
    first, second = one_batch.case(), one_batch.case()
    all_right({1: first, 2: second})
    assert first.points == second.points
    assert first.strays == 0
    # The sweep is worth what its points are: each kind of place must be among them.
    for kind in ("after lock", "before unlock", "made run.json.tmp", "half written", "before fsync", "after fsync"):
        assert kind in first.points
    for kind in ("before rename to run.json", "after rename to run.json", "made ids-1.txt", "half uploaded"):
        assert kind in first.points
    for verb in ("POST", "PUT", "GET"):
        at = first.points.index(f"before {verb}")
        assert f"{verb} answered" in first.points[at : at + 20]
    assert first.points.count("sent") == first.points.count("head of the answer") == 4  # create, upload, look, download


@pytest.mark.parametrize("batches", [1, 3])
def test_a_kill_at_every_point(batches: int, request: pytest.FixtureRequest) -> None:
    """Killed once, at each point in turn: the next process ends with the truth, one job a batch, and one driver."""
    kills: Kills = request.getfixturevalue("one_batch" if batches == 1 else "three_batches")
    points = kills.case().points
    outcomes = {(number, name): kills.case(number) for number, name in enumerate(points, 1)}
    print(f"{len(outcomes)} points of a run of {batches}")
    all_right(outcomes)
    assert [outcome.kills for outcome in outcomes.values()] == [1] * len(points), "a kill did not happen"


@pytest.mark.parametrize(("batches", "count"), [(1, 150), (3, 60)])
def test_a_kill_at_pairs_of_points(batches: int, count: int, request: pytest.FixtureRequest) -> None:
    """Killed twice, the second time while recovering, at a seeded sample of all pairs."""
    kills: Kills = request.getfixturevalue("one_batch" if batches == 1 else "three_batches")
    pairs = sample_pairs(len(kills.case().points), count, seed=20260102)
    outcomes: dict[object, Outcome] = {pair: kills.case(*pair) for pair in pairs}
    all_right(outcomes)
    assert sum(outcome.kills == 2 for outcome in outcomes.values()) > count * 0.6


def test_no_rule_leans_on_the_one_job_limit() -> None:
    """A far side that makes a second job while one is active gets none: every point around the first exchanges."""
    with Kills(batches=1, lenient=True) as kills:
        points = kills.case().points
        middle = range(points.index("before POST"), points.index("before GET"))
        all_right({(number, points[number - 1]): kills.case(number) for number in middle})


@pytest.mark.parametrize(
    ("mutant", "lenient"), [("create_again", True), ("late_record", True), ("create_again", False)]
)
def test_a_broken_rule_is_found_out(mutant: str, lenient: bool) -> None:
    """The sweep has teeth: without looking for a lost job, or with a late record, it counts surplus jobs.

    Where the far side refuses a second job, such a run never ends, and that is noticed as well.
    """
    with Kills(batches=1, mutant=mutant, lenient=lenient) as kills:
        points = kills.case().points
        around = range(points.index("before POST"), points.index("POST answered") + 2)
        outcomes = {points[number - 1]: kills.case(number) for number in around}
    assert not outcomes["sent"].right
    assert not outcomes["head of the answer"].right
    assert not outcomes["POST answered"].right
    if lenient:
        assert sum(outcome.surplus for outcome in outcomes.values()) >= 3
    else:
        assert any("unfinished" in text for text in outcomes["POST answered"].wrong)


# --------------------------------------------------------------------------- several at once


@pytest.mark.parametrize(("processes", "rounds"), [(2, 20), (4, 10)])
def test_several_processes_start_the_same_check(processes: int, rounds: int) -> None:
    """Started within moments of each other: nobody fails, all end with the truth, one drives at a time.

    They share a run, unless one starts after another's has ended; there is never more than one job a batch and run.
    """
    chance = random.Random(processes)
    with Kills(batches=2, complete_after=3) as kills:
        outcomes: dict[object, Outcome] = {
            number: kills.crowd([chance.uniform(0, 0.08) for _ in range(processes)]) for number in range(rounds)
        }
    all_right(outcomes)
    assert all(1 <= outcome.runs <= processes for outcome in outcomes.values())
    assert sum(outcome.runs < processes for outcome in outcomes.values()) > rounds / 2, "they hardly ever met"


def test_a_driver_that_is_killed_while_another_follows() -> None:
    """Of two processes that share a run one is killed anywhere: the other carries on, and no job is made twice."""
    chance = random.Random(5)
    with Kills(batches=2, complete_after=3) as kills:
        points = len(kills.case().points)
        outcomes: dict[object, Outcome] = {
            number: kills.crowd([0.0, chance.uniform(0, 0.03)], kill_at=chance.randint(1, points))
            for number in range(20)
        }
    all_right(outcomes)
    assert sum(outcome.kills for outcome in outcomes.values()) > 10


def test_a_broken_lock_is_found_out() -> None:
    """These rounds have teeth: with a lock for each process they see two drivers at a time."""
    chance = random.Random(2)
    with Kills(batches=2, mutant="two_drivers", lenient=True, complete_after=3) as kills:
        outcomes = [kills.crowd([chance.uniform(0, 0.01) for _ in range(2)]) for _ in range(4)]
    assert any("at a time" in text for outcome in outcomes for text in outcome.wrong)


def test_the_log_of_locks_tells_two_holders_from_a_dead_one() -> None:
    """A holder that vanishes is followed by another without complaint; one that comes back was held beside it."""
    assert drivers(["+ 1 run", "- 1 run", "+ 2 run", "- 2 run"]) == []
    assert drivers(["+ 1 run", "+ 2 run", "- 2 run"]) == []
    assert drivers(["+ 1 run", "+ 2 run", "- 1 run", "- 2 run"]) == ["two processes held run at a time"]
    assert drivers(["+ 1 run", "- 2 run"]) == ["two processes held run at a time"]
