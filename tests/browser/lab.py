"""A JupyterLab server, a Chromium before it, and notebooks in it, for tests and for pictures."""

from __future__ import annotations

import json
import math
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import nbformat
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import APIResponse, BrowserContext, Locator, Page, expect, sync_playwright

from xcompliance_pd.sandbox import Server

ROOT = Path(__file__).parents[2]
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
ARGUMENTS = [
    *"--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync".split(),
    *"--disable-background-networking --disable-component-update".split(),
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # nothing may need the internet
]
PATIENCE = 60  # seconds that anything may take on a busy machine; when all is well nothing waits nearly that long
LIGHT, DARK = "JupyterLab Light", "JupyterLab Dark"

SETUP = """
import pandas as pd, xcompliance_pd as xc
posts = pd.read_csv("posts.csv", dtype={"id": str, "author_id": str}).loc[:499]
client = xc.Client(poll_interval=0.2)
"""

_SESSION = "jupyterapp.shell.currentWidget.sessionContext"
_READY = """() => {
  const panel = window.jupyterapp?.shell?.currentWidget;
  const kernel = panel?.sessionContext?.session?.kernel;
  return panel?.isRevealed && panel.sessionContext.isReady
    && kernel?.connectionStatus === "connected" && kernel.status === "idle";
}"""
_SETTINGS: dict[str, dict[str, object]] = {  # no pop-ups over a notebook
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "docmanager-extension/plugin": {"autosave": False},
}

# What the front ends say to the console without any output of ours; whole messages, and everything else counts.
_NOISE = (
    # jupyterlab_widgets of a notebook that is shown without a kernel
    r"Cannot read properties of null \(reading 'kernel'\)",
    # Notebook 7 with extensions that are made for JupyterLab
    r"Cannot read properties of undefined \(reading 'schema'\)",
)

STORY = (  # a cell for each thing that the package shows
    SETUP,
    'checked = posts.compliance.check("id", client=client)',
    'run = posts.compliance.submit("author_id", type="users", client=client)\nrun',
    'watched = posts.compliance.submit("id", client=client)\nxc.JobMonitor(watched)',
    "run.wait(), watched.wait()\nxc.RunBrowser(client)",
    "xc.SummaryPanel(checked)",
)


_CONTRASTS = """root => {
  const context = new OffscreenCanvas(1, 1).getContext("2d", {willReadFrequently: true});
  const rgba = colour => {
    context.clearRect(0, 0, 1, 1);
    context.fillStyle = colour;
    context.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = context.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = ([r, g, b, a], [R, G, B]) => [a * r + (1 - a) * R, a * g + (1 - a) * G, a * b + (1 - a) * B];
  const behind = node => !node
    ? [255, 255, 255] : over(rgba(getComputedStyle(node).backgroundColor), behind(node.parentElement));
  const linear = part => (part /= 255) <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const found = [], walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  for (let node; node = walker.nextNode();) {
    const parent = node.parentElement;
    if (!node.data.trim() || parent.closest("progress, :disabled, .lm-TabBar") || !parent.checkVisibility()) continue;
    const back = behind(parent), ink = over(rgba(getComputedStyle(parent).color), back);
    const [low, high] = [light(back), light(ink)].sort((a, b) => a - b);
    found.push([(high + 0.05) / (low + 0.05), node.data.trim()]);
  }
  return found;
}"""  # by WCAG 2; not of what is disabled, nor of tabs, whose colours are the theme's


def contrasts(place: Locator) -> list[tuple[float, str]]:
    """Return (contrast, text) for every text that is shown in a place, the faintest first."""
    return sorted((ratio, text) for ratio, text in place.evaluate(_CONTRASTS))


def severe(page: Page) -> list[str]:
    """Return the serious and critical findings of axe in the outputs of a notebook."""
    page.evaluate("document.body.style.height = '100vh'")  # JupyterLab's has none, so axe takes all text for hidden
    found = Axe().run(page, ".jp-OutputArea-output").response["violations"]
    return [
        f"{finding['id']}: {node['html'][:200]}"
        for finding in found
        if finding["impact"] in ("serious", "critical")
        for node in finding["nodes"]
        if not (finding["id"] == "color-contrast" and "lm-TabBar-tabLabel" in node["html"])  # the theme's own colours
    ]


def changes(place: Locator) -> None:
    """Wait until a text is another one."""
    expect(place).not_to_have_text(place.inner_text())


class Far(Server):
    """X's part, in this process, so that it outlives every kernel. Jobs end at the first look unless they are held."""

    def __init__(self) -> None:
        plenty = 1_000_000  # requests in 15 minutes, so that one test does not slow down the next
        super().__init__(complete_after=1, rate_limits=(plenty, plenty, plenty))

    def hold(self) -> None:
        """Let no job end until `release`."""
        self.service.processing_seconds = math.inf

    def release(self) -> None:
        self.service.processing_seconds = 0

    def clear(self) -> None:
        """Know of no job: one that a test left unfinished would block the next of its type."""
        self.release()
        self.service._jobs.clear()


class Notebook:
    """A notebook in a browser window, whatever the front end."""

    def __init__(self, lab: Lab, page: Page, path: Path) -> None:
        self.lab, self.page, self.path = lab, page, path

    def cell(self, number: int) -> Locator:
        return self.page.locator(".jp-Notebook .jp-CodeCell").nth(number)

    def output(self, number: int) -> Locator:
        return self.cell(number).locator(".jp-Cell-outputWrapper")

    def prompt(self, number: int) -> Locator:
        return self.cell(number).locator(".jp-InputPrompt")

    def start(self, number: int) -> Locator:
        """Run a cell as a reader does, without waiting for it; return its outputs."""
        self.cell(number).locator(".cm-content").click()
        self.page.keyboard.press("Control+Enter")
        expect(self.prompt(number)).to_have_text("[*]:")
        return self.output(number)

    def run(self, *numbers: int) -> Locator:
        """Run cells one after the other; return the outputs of the last."""
        for number in numbers:
            before = self.prompt(number).inner_text()
            self.cell(number).locator(".cm-content").click()
            self.page.keyboard.press("Control+Enter")
            expect(self.prompt(number)).to_have_text(re.compile(rf"^(?!{re.escape(before)})\[\d+\]:"))
            expect(self.output(number).locator('[data-mime-type="application/vnd.jupyter.error"]')).to_have_count(0)
        return self.output(numbers[-1])

    def save(self) -> nbformat.NotebookNode:
        """Save it; return what is on disk."""
        with self.page.expect_response(lambda answer: answer.request.method == "PUT" and "/contents/" in answer.url):
            self.page.keyboard.press("Control+s")
        return nbformat.read(self.path, as_version=4)

    def restart(self) -> None:
        """Restart the kernel and clear all outputs, as the menu's entry does."""
        self.page.evaluate(f"{_SESSION}.session.kernel.restart()")
        self.page.evaluate("jupyterapp.commands.execute('notebook:clear-all-cell-outputs')")
        self.ready()

    def interrupt(self) -> None:
        """Stop the cell that runs."""
        self.page.evaluate(f"{_SESSION}.session.kernel.interrupt()")

    def shut_down(self) -> None:
        """End the kernel for good; the window stays."""
        self.page.evaluate(f"{_SESSION}.shutdown()")

    def reload(self) -> None:
        self.page.reload()
        self.ready()

    def ready(self) -> Notebook:
        """Wait until the kernel listens."""
        self.page.wait_for_function(_READY)
        return self


class Lab:
    """A JupyterLab server of its own. Notebooks reach the far side as they would reach X: by the environment.

    Parameters
    ----------
    folder : Path
        Where the server keeps everything; its notebooks are in `notebooks`.
    far : Far
    context : BrowserContext
    """

    def __init__(self, folder: Path, far: Far, context: BrowserContext) -> None:
        self.root, self.log = folder / "notebooks", folder / "server.log"
        self.far, self.context = far, context
        self._noise: list[str] = []  # what pages said to the console, and their errors
        self._forgiven: list[str] = []
        self._settings = folder / "settings" / "@jupyterlab"
        self._token = secrets.token_urlsafe()
        self.root.mkdir(parents=True)
        for name, settings in _SETTINGS.items():
            self._set(name, settings)
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("JUPYTER", "XCOMP"))}
        environment |= {f"JUPYTER_{kind}_DIR": str(folder / kind.lower()) for kind in ("CONFIG", "DATA", "RUNTIME")}
        environment |= {
            "JUPYTERLAB_SETTINGS_DIR": str(self._settings.parent),
            "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"),
            "JUPYTER_TOKEN": self._token,  # as an argument every process could read it
            "IPYTHONDIR": str(folder / "ipython"),
            "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep),
            "XCOMPLIANCE_HOME": "ledger",  # beside each notebook, so each folder has its own
            "XCOMPLIANCE_API_URL": far.url,
            "X_BEARER_TOKEN": far.token,
        }
        self.environment = environment
        command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ServerApp.ip=127.0.0.1"]
        command += [f"--ServerApp.port={port}", "--ServerApp.port_retries=0", f"--ServerApp.root_dir={self.root}"]
        command += ["--LabApp.expose_app_in_browser=True", "--JupyterNotebookApp.expose_app_in_browser=True"]
        with self.log.open("wb") as log:
            self._server = subprocess.Popen(command, env=environment, cwd=folder, stdout=log, stderr=log)

    def __enter__(self) -> Lab:
        """Log in as soon as the server answers: the token in a header, from then on a cookie."""
        until = time.monotonic() + PATIENCE
        headers = {"Authorization": f"token {self._token}"}
        while True:
            with suppress(Exception):  # nobody listens yet
                if self.context.request.get(f"{self.url}/api/status", headers=headers).ok:
                    return self
            assert self._server.poll() is None, f"the server ended:\n{self.log.read_text()}"
            assert time.monotonic() < until, f"the server does not answer:\n{self.log.read_text()}"
            time.sleep(0.1)

    def __exit__(self, *exc_info: object) -> None:
        self._server.terminate()
        try:
            self._server.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._server.kill()
            self._server.wait()

    def _set(self, name: str, settings: dict[str, object]) -> None:
        path = self._settings / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(settings))

    def theme(self, name: str) -> None:
        """Use a theme from the next window on."""
        self._set("apputils-extension/themes", {"theme": name})

    def api(self, method: str, path: str) -> APIResponse:
        """Ask the server itself."""
        headers = {"Authorization": f"token {self._token}"}
        return self.context.request.fetch(f"{self.url}/api/{path}", method=method, headers=headers)

    def write(self, *cells: str) -> Path:
        """Write a notebook, with the sample data beside it, in a folder of its own."""
        folder = self.root / secrets.token_hex(4)
        folder.mkdir()
        shutil.copy(ROOT / "data" / "posts.csv", folder)
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell.strip()) for cell in cells])
        notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
        nbformat.write(notebook, folder / "work.ipynb")
        return folder / "work.ipynb"

    def open(self, *cells: str) -> Notebook:
        """Write a notebook and open it with a kernel."""
        return self.show(self.write(*cells)).ready()

    def copy(self, path: Path, *, trusted: bool = True) -> Path:
        """Copy a saved notebook into a folder of its own, as its author has it or as somebody else gets it."""
        text = path.read_text()
        new = self.write()
        new.write_text(text if trusted else text.replace("poll_interval=0.2", "poll_interval=0.3"))
        assert trusted or new.read_text() != text
        return new

    def show(self, path: Path, view: str = "") -> Notebook:
        """Show a notebook that exists, in JupyterLab or in the front end at `view`."""
        place = path.relative_to(self.root).as_posix()
        view = view or f"lab/workspaces/{secrets.token_hex(4)}/tree"
        return Notebook(self, self.visit(f"{self.url}/{view}/{place}"), path)

    def show_without_kernel(self, path: Path) -> Notebook:
        """Show a notebook in JupyterLab and start no kernel for it."""
        page = self.visit(f"{self.url}/lab/workspaces/{secrets.token_hex(4)}")
        page.wait_for_function("() => window.jupyterapp?.commands.hasCommand('docmanager:open')")
        page.evaluate(
            "path => jupyterapp.commands.execute('docmanager:open', {path, kernelPreference: {canStart: false}})",
            path.relative_to(self.root).as_posix(),
        )
        page.locator(".jp-Notebook .jp-CodeCell").first.wait_for()
        return Notebook(self, page, path)

    def visit(self, url: str) -> Page:
        """Open a window that remembers what its console says."""
        page = self.context.new_page()
        page.on("console", lambda said: self._hear(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: self._hear(f"{error}"))
        page.goto(url)
        return page

    def _hear(self, text: str) -> None:
        if not any(re.fullmatch(known, text) for known in _NOISE):
            self._noise.append(text)

    def forgive(self, pattern: str) -> None:
        """Let go what matches, also if it comes late: it is the front end's own, in the test that says so."""
        self._forgiven.append(pattern)

    def complaints(self) -> list[str]:
        """Return what pages complained of since this was last asked, without what was forgiven meanwhile."""
        said = [text for text in self._noise if not any(re.match(pattern, text) for pattern in self._forgiven)]
        self._noise, self._forgiven = [], []
        return said

    def tidy(self) -> None:
        """Close every window and end every kernel."""
        for page in self.context.pages:
            page.close()
        for kernel in self.api("GET", "kernels").json():
            self.api("DELETE", f"kernels/{kernel['id']}")
        self.theme(LIGHT)
        self.far.clear()


@contextmanager
def laboratory(folder: Path, **window: object) -> Iterator[Lab]:
    """A far side, a browser and a JupyterLab server, all for as long as the block lasts."""
    expect.set_options(timeout=PATIENCE * 1000)
    with Far() as far, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS, timeout=PATIENCE * 1000)
        context = browser.new_context(**{"viewport": {"width": 1200, "height": 1600}, **window})
        context.set_default_timeout(PATIENCE * 1000)
        with Lab(folder, far, context) as lab:
            yield lab
        browser.close()
