"""The benchmarks run, and the ways they compare agree."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


def test_every_way_ends_with_the_same_verdicts() -> None:
    """On 2,000 rows the package, the samples' script and the careful script all give what the far side knows."""
    command = [sys.executable, "-W", "error", str(BENCHMARKS / "pipeline.py"), "--rows", "2e3", "--rounds", "1"]
    root = str(BENCHMARKS.parent)
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, env={**os.environ, "PYTHONPATH": root}, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "2,000 rows, 10% listed: every outcome is right" in done.stdout
    for way in ("ours", "samples", "careful"):
        assert f"listed: {way}" in done.stdout
    assert "read results" in done.stdout
