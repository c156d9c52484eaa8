"""Killed kernels: the job goes on, a new process carries on, and no second job is made."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pandas as pd
import pytest
from support import quick

import xcompliance_pd as xc
from xcompliance_pd.sandbox import Server

DIALECTS = ("gcs", "xapi")
IDS = [str(1212092628029698048 + n * 4_194_304_007) for n in range(300)]

CHECK = """
import sys, pandas as pd, xcompliance_pd as xc
frame = pd.DataFrame({"id": open(sys.argv[1]).read().split()})
frame.compliance.check("id", client=xc.Client(poll_interval=0.05, batch_size=int(sys.argv[2])))
"""

RESUME = """
import sys, pandas as pd, xcompliance_pd as xc
frame = pd.DataFrame({"id": open(sys.argv[1]).read().split()})
checked = frame.compliance.join("id", xc.open_run(sys.argv[2]))
checked.to_json(sys.argv[3], orient="records")
"""


@pytest.fixture
def ids_file(tmp_path: Path) -> Path:
    path = tmp_path / "ids.txt"
    path.write_text("\n".join(IDS))
    return path


def environment(box: Server, tmp_path: Path) -> dict[str, str]:
    return {
        **os.environ,
        "XCOMPLIANCE_API_URL": box.url,
        "X_BEARER_TOKEN": box.token,
        "XCOMPLIANCE_HOME": str(tmp_path / "home"),
    }


def until(condition: object, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.01)


def test_a_kernel_killed_while_polling_is_resumed_by_run_id(dialect: str, tmp_path: Path, ids_file: Path) -> None:
    """SIGKILL during polling, then a new process joins by run ID: the truth on every row, and exactly one create."""
    with Server(dialect=dialect, processing_seconds=3600) as box:
        first = subprocess.Popen([sys.executable, "-c", CHECK, str(ids_file), "1000"], env=environment(box, tmp_path))
        until(lambda: box.service.requests["get"] >= 1)
        first.send_signal(signal.SIGKILL)
        assert first.wait(10) == -signal.SIGKILL
        box.service.processing_seconds = 0

        (run_id,) = xc.runs().index
        out = tmp_path / "out.json"
        command = [sys.executable, "-c", RESUME, str(ids_file), run_id, str(out)]
        subprocess.run(command, env=environment(box, tmp_path), check=True, timeout=60)

        rows = json.loads(out.read_text())
        assert [row["compliance_status"] for row in rows] == box.expected(IDS)["status"].tolist()
        assert box.service.requests["create"] == 1
        assert len(box.service.jobs) == 1


def test_running_the_cell_again_after_a_kill_makes_no_second_job(dialect: str, tmp_path: Path, ids_file: Path) -> None:
    """The same check in a new process continues the killed one."""
    with Server(dialect=dialect, processing_seconds=3600) as box:
        first = subprocess.Popen([sys.executable, "-c", CHECK, str(ids_file), "1000"], env=environment(box, tmp_path))
        until(lambda: box.service.requests["upload"] >= 1)
        first.kill()
        first.wait(10)
        box.service.processing_seconds = 0
        with pytest.warns(xc.ComplianceWarning, match="Continuing the unfinished run"):
            checked = pd.DataFrame({"id": IDS}).compliance.check("id", client=quick(box))
        assert checked["compliance_status"].tolist() == box.expected(IDS)["status"].tolist()
        assert box.service.requests["create"] == 1


def test_a_second_process_follows_and_takes_over(dialect: str, tmp_path: Path, ids_file: Path) -> None:
    """While one process drives a run, another only reads along; when the first is killed it carries on alone."""
    with Server(dialect=dialect, processing_seconds=3600) as box:
        first = subprocess.Popen([sys.executable, "-c", CHECK, str(ids_file), "1000"], env=environment(box, tmp_path))
        until(lambda: box.service.requests["get"] >= 1)
        (run_id,) = xc.runs().index
        second = xc.open_run(run_id, quick(box)).start()
        before = box.service.requests["get"]
        time.sleep(0.3)
        assert not second.done()
        assert second.exception() is None
        with pytest.raises(xc.LedgerError, match="Another process"):
            xc.open_run(run_id, quick(box)).forget()
        first.kill()
        first.wait(10)
        box.service.processing_seconds = 0
        second.wait(30)
        assert box.service.requests["get"] > before
        assert box.service.requests["create"] == 1


def test_two_kernels_starting_the_same_check_make_one_job(dialect: str, tmp_path: Path, ids_file: Path) -> None:
    """Two processes that check the same IDs at once share one run."""
    with Server(dialect=dialect) as box:
        command = [sys.executable, "-c", CHECK, str(ids_file), "100"]
        both = [subprocess.Popen(command, env=environment(box, tmp_path)) for _ in range(2)]
        assert [process.wait(60) for process in both] == [0, 0]
        runs = xc.runs()
        assert box.service.requests["create"] == 3 * len(runs)  # three batches; a late starter may find it finished
        assert (runs["state"] == "done").all()


@pytest.mark.parametrize("moment", ["create", "get", "upload", "download"])
def test_a_lost_answer_makes_no_second_job(
    dialect: str, moment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The service does its part but its answer is lost, once: the run goes on with the same job and the truth."""
    from xcompliance_pd.transport import Transport

    lost = threading.Event()
    verb = {"create": "send", "get": "send", "upload": "put", "download": "get"}[moment]
    original = getattr(Transport, verb)

    def losing(self: Transport, *arguments: object) -> object:
        result = original(self, *arguments)
        if not lost.is_set() and (verb != "send" or arguments[0].operation == moment):  # type: ignore[attr-defined]
            lost.set()
            raise xc.Unavailable("the answer was lost", retryable=True)
        return result

    monkeypatch.setattr(Transport, verb, losing)
    with Server(dialect=dialect) as box:
        checked = pd.DataFrame({"id": IDS}).compliance.check("id", client=quick(box))
        assert lost.is_set()
        assert checked["compliance_status"].tolist() == box.expected(IDS)["status"].tolist()
        assert len(box.service.jobs) == 1


def test_a_foreign_job_is_waited_for(dialect: str, tmp_path: Path) -> None:
    """Somebody else's active job of the type blocks ours: it is named, waited for, and left alone."""
    with Server(dialect=dialect, processing_seconds=0) as box:
        foreign = box.service.create({}, {"type": "tweets", "name": "somebody else's"})["data"]["id"]
        run = pd.DataFrame({"id": IDS}).compliance.submit("id", client=quick(box, poll_interval=0.05))
        until(lambda: foreign in run.snapshot().note)
        box.service.fail(foreign)
        run.wait(30)
        assert run.status == "done"
        assert [job.failed for job in box.service.jobs] == [True, False]


def test_an_interrupted_check_says_how_to_go_on(dialect: str, tmp_path: Path, ids_file: Path) -> None:
    """Ctrl-C ends within moments, leaves the job alone and prints the line that continues it."""
    with Server(dialect=dialect, processing_seconds=3600) as box:
        process = subprocess.Popen(
            [sys.executable, "-c", CHECK, str(ids_file), "1000"],
            env=environment(box, tmp_path),
            stderr=subprocess.PIPE,
            text=True,
        )
        until(lambda: box.service.requests["get"] >= 1)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=10)
        assert process.returncode != 0
        (run_id,) = xc.runs().index
        assert f"xc.open_run('{run_id}')" in stderr
        assert box.token not in stderr
