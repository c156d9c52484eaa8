"""Draw the README's picture, the sample data checked with the sandbox: python docs/make_figures.py"""

from __future__ import annotations

import warnings
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

import xcompliance_pd as xc

HERE = Path(__file__).parent


def main() -> None:
    """Write docs/reasons.png."""
    posts = pd.read_csv(HERE.parent / "data" / "posts.csv", dtype={"id": str, "author_id": str})
    with xc.Sandbox() as box, warnings.catch_warnings():
        warnings.simplefilter("ignore", xc.ComplianceWarning)  # the sample's dirty rows, on purpose
        checked = posts.compliance.check("id", client=box.client)
    figure = Figure(figsize=(8, 3.2), layout="constrained")
    checked.compliance.plot.reasons(figure.subplots())
    # No software version or date in the file, so that it changes only when the picture does.
    figure.savefig(HERE / "reasons.png", dpi=110, metadata={"Software": None})


if __name__ == "__main__":
    main()
