"""Time ``import xcompliance_pd`` where pandas is there already, and what is loaded when it is first used.

    python benchmarks/imports.py

Each module is imported in fresh processes, by turns eleven times, after one time that is not counted and leaves
compiled files behind; printed are medians of the milliseconds that the import statement took after ``import pandas``,
and what that took itself. The goal is at most 50 ms for the package. The status is 1 if it was missed.
"""

from __future__ import annotations

import subprocess
import sys
from statistics import median

ROUNDS = 11
GOAL = 50  # milliseconds
CODE = "import time{}; began = time.perf_counter(); import {}; print(1000 * (time.perf_counter() - began))"


def took(module: str) -> float:
    """Return the milliseconds that an import takes in a fresh process."""
    code = CODE.format("" if module == "pandas" else ", pandas", module)
    return float(subprocess.check_output([sys.executable, "-c", code]))  # noqa: S603


def main() -> int:
    modules = ("pandas", "xcompliance_pd", "xcompliance_pd.frames", "xcompliance_pd.cli")
    rounds = [[took(module) for module in modules] for _ in range(ROUNDS + 1)][1:]
    found = dict(zip(modules, map(median, zip(*rounds, strict=True)), strict=True))
    for module, milliseconds in found.items():
        print(f"{module}: {milliseconds:.1f} ms{'' if module == 'pandas' else ' more'}")
    met = found["xcompliance_pd"] <= GOAL
    print(f"goal for the package, at most {GOAL} ms: {'met' if met else 'missed'}")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
