"""Other people's clients as judges of the sandbox. `tests/peers/run` makes their environments and runs all of this.

Each module needs one client that the package does not need (tweepy, xdk, twarc), so these tests run only when named,
and a module only where its client is installed.
"""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from peers.exchange import DIALECTS

import xcompliance_pd as xc

PEERS = ("tweepy", "xdk", "twarc")
collect_ignore = [f"test_{peer}.py" for peer in PEERS if importlib.util.find_spec(peer) is None]


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave these tests out unless they were named."""
    return None if any("peers" in argument for argument in config.args) else True


@pytest.fixture(params=DIALECTS)
def box(request: pytest.FixtureRequest) -> Iterator[xc.Sandbox]:
    """A running sandbox, in each dialect, whose jobs are in progress at the first look and complete at the second."""
    with xc.Sandbox(dialect=request.param) as sandbox:
        yield sandbox


@pytest.fixture(autouse=True)
def _discreet() -> Iterator[None]:
    """tweepy and twarc log the token at DEBUG, the level at which the tests of this project record everything."""
    before = {name: logging.getLogger(name).level for name in PEERS}
    for name in PEERS:
        logging.getLogger(name).setLevel(logging.INFO)
    yield
    for name, level in before.items():
        logging.getLogger(name).setLevel(level)
