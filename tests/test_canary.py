"""The watch over the test run finds what it has to find, and verbose tracebacks of real failures are clean."""

from __future__ import annotations

import pickle
from pathlib import Path

import pandas as pd
import pytest
from canary import Canary
from IPython.core.ultratb import VerboseTB
from support import quick

import xcompliance_pd as xc
from xcompliance_pd.transport import Transport

FRAME = pd.DataFrame({"id": ["1212092628029698048", "1212092628029698049"]})


@pytest.mark.parametrize("where", ["print", "file"])
def test_a_planted_leak_is_found(where: str, tmp_path: Path) -> None:
    """A token in what a test printed, or in a file it left, is found and its place named; without it nothing is."""
    canary = Canary()
    canary.secrets.add("planted-token-0123456789-abcdef")
    (tmp_path / "clean.txt").write_text("nothing here, planted-token-0123456789-abcde neither")
    assert canary.found([tmp_path]) == []
    if where == "print":
        canary.texts.append(("test_x (Captured stdout call)", 'token="planted-token-0123456789-abcdef"'))
    else:
        (tmp_path / "run.json").write_text("?X-Goog-Signature=planted-token-0123456789-abcdef&x=1")
    assert len(canary.found([tmp_path])) == 1


@pytest.mark.parametrize("verb", ["send", "put", "get"])
def test_verbose_tracebacks_of_failed_checks_are_clean(
    verb: str, box: xc.Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """IPython's Verbose mode prints every frame's variables; for failures deep down none holds a secret."""
    original = getattr(Transport, verb)

    def fails(self: Transport, *arguments: object) -> object:
        original(self, *arguments)
        raise xc.Refused("no", status=400)

    monkeypatch.setattr(Transport, verb, fails)
    client, canary = quick(box), Canary()
    try:
        FRAME.compliance.check("id", client=client)
    except xc.ComplianceError as error:
        canary.texts.append(("traceback", VerboseTB().text(type(error), error, error.__traceback__)))
        canary.texts.append(("error", repr(vars(error)) + str(error)))
    canary.secrets.add(box.token)
    canary.secrets.update(signature for job in box.service.jobs for signature in signatures(box, job.id))
    assert len(canary.texts) == 2
    assert "advance" in canary.texts[0][1]
    assert len(canary.secrets) >= 1
    assert canary.found([]) == []


def signatures(box: xc.Sandbox, job_id: str) -> list[str]:
    data = box.service.get(job_id, {})["data"]
    return [data[name].rsplit("X-Goog-Signature=", 1)[1] for name in ("upload_url", "download_url")]


def test_clients_and_runs_are_not_pickled_with_their_token(box: xc.Sandbox) -> None:
    """A client cannot be pickled, so no pickle of it, nor of a run or an error with a run, holds its token."""
    client = quick(box)
    run = FRAME.compliance.submit("id", client=client).wait(30)
    for thing in (client, run):
        with pytest.raises(TypeError):
            pickle.dumps(thing)
    assert box.token not in repr(client) + repr(run) + str(run._repr_html_())
