"""Take the pictures of the card and the panels in a real JupyterLab: python docs/make_screenshots.py

Needs `pip install -e ".[test,browser]"` and a Chromium. The pictures show outputs only: no path, no host, no user. The
runs in them are the sandbox's, and their IDs are invented.
"""

from __future__ import annotations

import io
import re
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Locator, expect

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))

from browser.lab import DARK, LIGHT, SETUP, Lab, laboratory  # noqa: E402

FOLDER = HERE / "screenshots"
LARGEST = 120_000  # bytes
CELLS = (
    SETUP.replace('{"id": str, "author_id": str}', '{"id": str, "author_id": str}, parse_dates=["created_at"]'),
    'posts["collection"] = ["spring", "autumn"] * 250\nchecked = posts.compliance.check("id", client=client)',
    'xc.JobMonitor(posts.compliance.submit("id", client=client))',
    "xc.SummaryPanel(checked)",
    "xc.RunBrowser(client)",
)


def keep(output: Locator, name: str) -> None:
    """Write what a cell shows, without its prompt, in 256 colours at most."""
    page = output.page
    page.mouse.move(0, 0)  # nothing is hovered over
    output.evaluate("node => node.scrollIntoView({block: 'center'})")  # "if needed" is content with a part of it
    areas = [area.bounding_box() for area in output.locator(".jp-OutputArea-output").all()]
    boxes = [area for area in areas if area is not None]
    left, top = min(box["x"] for box in boxes), min(box["y"] for box in boxes)
    right, bottom = (max(box[start] + box[size] for box in boxes) for start, size in (("x", "width"), ("y", "height")))
    clip = {"x": left - 4, "y": top - 4, "width": right - left + 8, "height": bottom - top + 8}
    picture = Image.open(io.BytesIO(page.screenshot(clip=clip, animations="disabled"))).convert("RGB")
    path = FOLDER / f"{name}.png"
    picture.quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)
    if path.stat().st_size > LARGEST:
        raise SystemExit(f"{path} is too large")


def take(lab: Lab, ending: str) -> None:
    """Take all pictures in the present theme."""
    lab.far.hold()
    notebook = lab.open(*CELLS)
    notebook.run(0)
    card = notebook.start(1)
    expect(card).to_contain_text("processing (waiting)")
    expect(card).to_contain_text(re.compile("Elapsed: [3-9] s"))
    keep(card, f"card-running{ending}")
    lab.far.release()
    expect(card).to_contain_text("✓ joined")
    expect(notebook.prompt(1)).to_have_text("[2]:")
    keep(card, f"card-done{ending}")
    lab.far.hold()
    monitor = notebook.run(2)
    expect(monitor).to_contain_text(re.compile("Elapsed: [3-9] s"))
    keep(monitor, f"job-monitor{ending}")
    browser = notebook.run(4)
    keep(browser, f"run-browser{ending}")
    lab.far.release()
    expect(monitor.get_by_role("table")).to_be_visible()
    keep(monitor, f"job-monitor-done{ending}")
    summary = notebook.run(3)
    summary.get_by_role("tab", name="Reasons").click()
    expect(summary.get_by_role("img", name=re.compile("suspended"))).to_be_visible()
    keep(summary, f"summary-panel{ending}")
    lab.tidy()


def main() -> None:
    """Write docs/screenshots/*.png, light and dark."""
    FOLDER.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        laboratory(Path(folder) / "lab", viewport={"width": 1130, "height": 1800}) as lab,
    ):
        for theme, ending in ((LIGHT, ""), (DARK, "-dark")):
            lab.theme(theme)
            take(lab, ending)


if __name__ == "__main__":
    main()
