"""Every test gets a ledger of its own, no token from the machine, and no progress display."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import canary
import contract_rules
import pytest
import watches
from hypothesis import HealthCheck, settings

import xcompliance_pd as xc
from xcompliance_pd.protocol import BASE_URL_VARIABLE, TOKEN_VARIABLES

LONGEST = ("test_machine", "test_kills", "test_sweeps")

settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])  # machines are busy
settings.load_profile("patient")


@pytest.fixture(autouse=True)
def _own_world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in (*TOKEN_VARIABLES, BASE_URL_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XCOMPLIANCE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XCOMPLIANCE_PROGRESS", "none")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a module's tests that meet the sandbox once for each of the module's ``DIALECTS``, if it names any."""
    dialects = getattr(metafunc.module, "DIALECTS", None)
    if dialects and "dialect" in metafunc.fixturenames:
        metafunc.parametrize("dialect", dialects, scope="session")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the longest tests first, so that no process is left alone with one of them at the end."""
    items.sort(key=lambda item: item.path.stem not in LONGEST)


@pytest.fixture(scope="session")
def dialect() -> str:
    """The sandbox's dialect: the older one, unless the test's module names others in ``DIALECTS``."""
    return "gcs"


@pytest.fixture
def box(dialect: str) -> Iterator[xc.Sandbox]:
    """A running sandbox with invented fates, whose jobs are complete at the first look."""
    with xc.Sandbox(dialect=dialect, complete_after=1) as sandbox:
        yield sandbox


def pytest_configure(config: pytest.Config) -> None:
    """Watch the whole session for tokens and signatures, and for requests that X does not describe."""
    config.pluginmanager.register(watches.Gatherer(), "watches")
    canary.watch(config)
    contract_rules.watch(config)
