"""One JupyterLab server and one Chromium for the session, a notebook in a folder of its own for each test.

They need the extra `browser`: without it these tests are not collected. With it, but with no Chromium on the PATH, they
are skipped. They run only when named (`pytest tests/browser`), for Playwright keeps an event loop in the thread of the
tests, where others need one of their own. CI names them and lets none be skipped, so none goes missing.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from browser.lab import Lab

_NEEDED = ("playwright", "axe_playwright_python", "jupyterlab", "notebook", "nbclassic", "voila")
collect_ignore_glob = [] if all(map(importlib.util.find_spec, _NEEDED)) else ["*.py"]


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave these tests out unless they were named."""
    return None if any("browser" in argument for argument in config.args) else True


@pytest.fixture(scope="session")
def _lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    from browser.lab import CHROMIUM, laboratory

    if CHROMIUM is None:
        pytest.skip("there is no Chromium on this machine (Debian: apt-get install chromium)")
    with laboratory(tmp_path_factory.mktemp("lab")) as lab:
        yield lab


@pytest.fixture
def lab(_lab: Lab) -> Iterator[Lab]:
    """The server, with nothing open. At the end of each test no page may have complained."""
    _lab.complaints()
    yield _lab
    _lab.tidy()
    assert _lab.complaints() == [], "a page reported errors"
