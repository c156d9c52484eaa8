"""What watches a whole test run (`canary`, `contract_rules`) says here what it found, in one process or several.

With ``pytest -n`` each process watches the tests that it runs itself, and hands its words to the one that started it.
"""

from __future__ import annotations

from typing import Any

import pytest


def tell(session: pytest.Session, text: str, *, bad: bool) -> None:
    """Say what a watch found; a bad finding fails the whole run."""
    heard: list[tuple[str, bool]] | None = None
    if hasattr(session.config, "workeroutput"):  # of a process that pytest-xdist started
        heard = session.config.workeroutput.setdefault("watches", [])
    if heard is not None:
        heard.append((text, bad))
        return
    print(f"\n{text}")
    if bad:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def alone(session: pytest.Session) -> bool:
    """Whether this process runs tests itself."""
    return not session.config.getoption("numprocesses", None)


class Gatherer:
    """Says what the processes of a run heard from their watches."""

    def __init__(self) -> None:
        self._bad = False

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        for text, bad in getattr(node, "workeroutput", {}).get("watches", []):
            print(f"\n{node.gateway.id}: {text}")
            self._bad |= bad

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self._bad:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
