"""Importing the package is light: what a notebook may never use is loaded when it is first used."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

LATER = (
    "requests",
    "urllib3",
    "ipywidgets",
    "IPython",
    "matplotlib",
    "dask",
    "distributed",
    "pyarrow.parquet",
    "filelock",
    "platformdirs",
    "google_crc32c",
    "asyncio",
    "http.server",
)


def fresh(code: str) -> Any:
    """Return what `answer` is after running code in a new interpreter."""
    code = f"import sys, json\n{code}\nprint(json.dumps(answer))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    return json.loads(ended.stdout)


def loaded(code: str) -> set[str]:
    """Return the modules that a new interpreter has loaded after running code."""
    return set(fresh(f"{code}\nanswer = list(sys.modules)"))


def test_the_import_loads_nothing_that_can_wait() -> None:
    """After the import no module is there that speaks to the web, to widgets, to files or to a cluster."""
    assert not loaded("import xcompliance_pd") & {*LATER}


def test_what_is_loaded_would_be_seen() -> None:
    """Each of these modules is there under this name once it was imported, so the test above can fail."""
    installed = {*LATER} - {"dask", "distributed"}  # which the tests do without
    assert installed < loaded(f"import {', '.join(installed)}")


def test_the_import_loads_three_modules_of_ours() -> None:
    """Of the package itself only the errors and the accessors are loaded."""
    ours = {name for name in loaded("import xcompliance_pd") if name.startswith("xcompliance_pd")}
    assert ours == {"xcompliance_pd", "xcompliance_pd.errors", "xcompliance_pd.accessor"}


def test_looking_around_loads_nothing() -> None:
    """Listing the names, building the accessors and listing their methods, as Tab completion does, loads no more."""
    looking = (
        "dir(xc), dir(pd.DataFrame().compliance), dir(pd.DataFrame().compliance.plot), dir(pd.Series().compliance)"
    )
    before = loaded("import pandas as pd, xcompliance_pd as xc")
    assert loaded(f"import pandas as pd, xcompliance_pd as xc\n{looking}") == before


def test_the_accessors_are_there() -> None:
    """The import alone registers both accessors, with their methods."""
    code = "import pandas as pd, xcompliance_pd\nanswer = [dir(kind.compliance) for kind in (pd.DataFrame, pd.Series)]"
    frame, series = fresh(code)
    assert {"check", "submit", "join", "summary", "report", "plot"} <= set(frame)
    assert {"check", "submit", "join", "created_at"} <= set(series)


def test_every_public_name_is_listed_and_there() -> None:
    """A new interpreter lists every public name, and gives each when asked, also by a star import."""
    code = (
        "import xcompliance_pd as xc\nlisted = dir(xc)\nspace = {}\nexec('from xcompliance_pd import *', space)\n"
        "answer = [xc.__all__, listed, [name for name in xc.__all__ if name not in space], xc.__version__]"
    )
    public, listed, absent, version = fresh(code)
    assert set(public) < set(listed)
    assert absent == []
    assert version[0].isdigit()


def test_checking_posts_draws_nothing() -> None:
    """A check needs the web, but neither charts nor widgets nor Parquet."""
    code = (
        "import pandas as pd, xcompliance_pd as xc\n"
        "with xc.Sandbox(findings=[]) as box:\n"
        "    checked = pd.DataFrame({'id': ['1212092628029698048']}).compliance.check('id', client=box.client)\n"
        "checked.compliance.summary(), checked.compliance.sentence()\n"
    )
    names = loaded(code)
    assert "requests" in names
    assert not names & {"matplotlib", "ipywidgets", "IPython", "dask", "distributed", "pyarrow.parquet"}
