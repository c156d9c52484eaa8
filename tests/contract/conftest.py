"""These tests need the extra `contract`; without it they are not collected. They run only when named, for they take
two minutes (`pytest tests/contract`). CI names them, so none goes missing.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

collect_ignore_glob = ["test_*.py"] if importlib.util.find_spec("schemathesis") is None else []


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave these tests out unless they were named."""
    named = any("contract" in Path(argument.partition("::")[0]).parts for argument in config.args)
    return None if named else True
