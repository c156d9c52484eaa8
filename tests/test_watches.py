"""What watches the whole test run fails it, whichever process ran the test."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent

CONFTEST = """
import canary, watches

def pytest_configure(config):
    config.pluginmanager.register(watches.Gatherer(), "watches")
    canary.watch(config)
"""

TEST = """
import xcompliance_pd as xc

def test_it():
    with xc.Sandbox() as box:
        print({what})
"""


@pytest.mark.parametrize("processes", [0, 1])
@pytest.mark.parametrize(("what", "status"), [("box.url", 0), ("box.token", 1)])
def test_a_leak_fails_the_run(what: str, status: int, processes: int, tmp_path: Path) -> None:
    """A test that prints a token passes, and the run that it was part of fails, and only that one."""
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_it.py").write_text(TEST.format(what=what))
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        f"-n{processes}",
        "-p",
        "no:cacheprovider",
        "-o",
        f"pythonpath={TESTS}",
    ]
    done = subprocess.run(
        [*command, str(tmp_path)], check=False, cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert "1 passed" in done.stdout
    assert ("found in 0" in done.stdout) == (status == 0)
    assert done.returncode == status
