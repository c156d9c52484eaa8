"""The judges need the extra `judges`; without it they are not collected. CI runs them by name, so none goes missing."""

from __future__ import annotations

import importlib.util

collect_ignore_glob = ["test_*.py"] if importlib.util.find_spec("gcp_storage_emulator") is None else []
