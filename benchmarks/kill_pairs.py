"""Kill a run at every pair of points, or at a sample of them, and count what went wrong.

    python benchmarks/kill_pairs.py --batches 1                          every pair: some 12,000 processes, or
    python benchmarks/kill_pairs.py --batches 1 --part 3/8               an eighth of them
    python benchmarks/kill_pairs.py --batches 3 --sample 300 --seed 1

Points are those of ``tests/kill_points.py``. The status is 1 if any case went wrong.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from kill_points import Kills, Outcome, every_pair, sample_pairs


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--batches", type=int, default=1, help="batches of each run")
    parser.add_argument("--sample", type=int, default=0, help="how many pairs; 0 means every pair")
    parser.add_argument("--seed", type=int, default=0, help="seed of the sample")
    parser.add_argument("--part", default="1/1", help="of every pair, only those whose first point is in part k/n")
    options = parser.parse_args()
    part, parts = map(int, options.part.split("/"))

    began = time.monotonic()
    outcomes: list[tuple[tuple[int, ...], Outcome]] = []
    with Kills(options.batches) as kills:
        points = len(kills.case().points)
        if options.sample:
            outcomes += [(pair, kills.case(*pair)) for pair in sample_pairs(points, options.sample, options.seed)]
        else:
            outcomes += every_pair(kills, range(part, points + 1, parts))
    seconds = time.monotonic() - began

    bad = [(pair, outcome) for pair, outcome in outcomes if not outcome.right]
    for pair, outcome in bad[:5]:
        print(f"wrong: {pair}: {outcome.surplus} surplus jobs; {'; '.join(outcome.wrong)}", file=sys.stderr)
    print(
        f"batches {options.batches}, points {points}, cases {len(outcomes)}, right {len(outcomes) - len(bad)}, "
        f"surplus jobs {sum(max(outcome.surplus, 0) for _, outcome in outcomes)}, "
        f"processes killed {sum(outcome.kills for _, outcome in outcomes)}, "
        f"cases that leave a temporary file {sum(outcome.strays > 0 for _, outcome in outcomes)}, "
        f"seconds {seconds:.0f}"
    )
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
