"""The public face: what it holds, that all of it is explained, and that importing it is light."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys

import pytest

import xcompliance_pd as xc
from xcompliance_pd import accessor

PARTS = [getattr(xc, name) for name in xc.__all__ if not name.endswith(("Warning", "Error"))]
PARTS = [part for part in PARTS if not (inspect.isclass(part) and issubclass(part, Exception))]


@pytest.mark.parametrize(
    "part", [*PARTS, accessor.FrameAccessor, accessor.SeriesAccessor], ids=lambda part: part.__name__
)
def test_every_public_name_has_an_example(part: object) -> None:
    """Each public function and class explains itself with an example, which runs as a doctest."""
    assert ">>>" in (inspect.getdoc(part) or "")


def test_errors_have_one_root_and_are_explained() -> None:
    """Every public error is a ComplianceError with a docstring."""
    errors = [
        part for part in map(xc.__dict__.get, xc.__all__) if inspect.isclass(part) and issubclass(part, Exception)
    ]
    assert len(errors) >= 10
    for error in errors:
        assert issubclass(error, xc.ComplianceError) or error is xc.ComplianceWarning
        assert inspect.getdoc(error)


@pytest.mark.parametrize("name", ["check", "submit", "join", "stale"])
def test_accessor_and_functions_take_the_same_arguments(name: str) -> None:
    """df.compliance.check is xc.check with the frame left out: same names, kinds and defaults."""
    function = dict(inspect.signature(getattr(xc, name)).parameters)
    method = dict(inspect.signature(getattr(accessor.FrameAccessor, name)).parameters)
    function.pop("data")
    method.pop("self")
    function["column"] = method["column"]  # a Series has none, so only the function can leave it out
    assert {k: (v.kind, v.default) for k, v in function.items()} == {k: (v.kind, v.default) for k, v in method.items()}


def test_importing_is_light() -> None:
    """The import loads neither requests nor ipywidgets nor matplotlib, and registers the accessor."""
    code = (
        "import sys, json, pandas as pd; before = set(sys.modules); import xcompliance_pd; "
        "assert hasattr(pd.DataFrame, 'compliance') and hasattr(pd.Series, 'compliance'); "
        "print(json.dumps(sorted({name.split('.')[0] for name in set(sys.modules) - before})))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    loaded = set(json.loads(ended.stdout))
    assert not loaded & {"requests", "urllib3", "ipywidgets", "IPython", "matplotlib", "filelock", "platformdirs"}


@pytest.mark.parametrize("name", [name for name in xc.__all__ if name in xc._LATER])
def test_a_later_name_is_loaded_at_its_first_use(name: str) -> None:
    """Each name that is loaded late is there, listed, and the module's own, also for `from xcompliance_pd import *`."""
    part = getattr(xc, name)
    assert part.__name__ == name
    assert part.__module__.startswith("xcompliance_pd.")
    assert name in dir(xc)


def test_names_that_come_later_are_all_public() -> None:
    """No name is loaded late that is not announced, and one that does not exist is refused."""
    assert set(xc._LATER) <= set(xc.__all__)
    with pytest.raises(AttributeError, match="nothing_of_the_kind"):
        _ = xc.nothing_of_the_kind


def test_a_run_needs_no_widgets() -> None:
    """Making, driving and printing a run, and making each panel, imports neither ipywidgets nor matplotlib."""
    code = """
import sys, pandas as pd, xcompliance_pd as xc
with xc.Sandbox(findings=[]) as box:
    run = xc.submit(pd.DataFrame({"id": ["1212092628029698048"]}), "id", client=box.client).wait()
    shown = [repr(run), run._repr_html_(), repr(xc.JobMonitor(run)), repr(xc.RunBrowser(box.client))]
    assert all(shown)
print(sorted({name.split(".")[0] for name in sys.modules} & {"ipywidgets", "IPython", "matplotlib"}))
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert ended.stdout.strip() == "[]"


def test_reloading_registers_once(recwarn: pytest.WarningsRecorder) -> None:
    """Registering again, as autoreload does, neither warns nor replaces the accessor."""
    import pandas as pd

    before = pd.DataFrame.compliance  # type: ignore[attr-defined]
    accessor.register()
    assert pd.DataFrame.compliance is before  # type: ignore[attr-defined]
    assert not recwarn.list
