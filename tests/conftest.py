"""Every test gets a ledger of its own, no token from the machine, and no progress display."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import canary
import pytest
from hypothesis import HealthCheck, settings

import xcompliance_pd as xc
from xcompliance_pd.protocol import BASE_URL_VARIABLE, TOKEN_VARIABLES

settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])  # machines are busy
settings.load_profile("patient")


@pytest.fixture(autouse=True)
def _own_world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in (*TOKEN_VARIABLES, BASE_URL_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XCOMPLIANCE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XCOMPLIANCE_PROGRESS", "none")


@pytest.fixture
def box() -> Iterator[xc.Sandbox]:
    """A running sandbox with invented fates, whose jobs are complete at the first look."""
    with xc.Sandbox(complete_after=1) as sandbox:
        yield sandbox


def pytest_configure(config: pytest.Config) -> None:
    """Watch the whole session for tokens and signatures."""
    canary.watch(config)
