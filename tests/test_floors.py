"""The architecture: imports go down the floors only, and each room keeps to its own means."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "xcompliance_pd"

# Floors of docs/architecture.md, and within a floor the order in which rooms may import one another.
FLOORS: list[list[str]] = [
    ["errors", "protocol"],
    [
        *("digest", "ids", "layouts", "results", "verdicts", "geo", "combined", "summary", "cleaning", "differences"),
        *("audit", "terms", "splice", "records", "lifecycle", "freshness"),
    ],
    ["transport", "ledger", "tables", "charts", "widgets"],
    ["outcome", "reuse", "saved", "resumable", "runner", "run", "client"],
    [
        "report",
        "questions",
        "asking",
        "frames",
        "applying",
        "panels",
        "local_service",
        "accessor",
        "dask_frames",
        "pieces",
        "copies",
        "doctor",
        "cli",
        "__init__",
    ],
]
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
PLACE = {room: place for rooms in FLOORS for place, room in enumerate(rooms)}
EDGES = FLOORS[2]
SANDBOX_MAY = {"errors", "protocol"}


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> set[tuple[str, bool]]:
    """Return (module, is ours) for every import in the file, also those inside functions."""
    found: set[tuple[str, bool]] = set()
    package = ("xcompliance_pd", *path.relative_to(PACKAGE).parts[:-1])
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {(alias.name, alias.name.startswith("xcompliance_pd")) for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level:
            base = [*package[: len(package) - node.level + 1], *(node.module or "").split(".")]
            base = [part for part in base if part]
            names = [".".join([*base, alias.name]) for alias in node.names] if len(base) == 1 else [".".join(base)]
            found |= {(name, True) for name in names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "", (node.module or "").startswith("xcompliance_pd")))
    return found


def our_imports(path: Path) -> set[str]:
    own = room_of(path)
    rooms = {name.split(".")[1] for name, ours in imports(path) if ours and "." in name}
    return rooms - {own}


def test_every_module_has_a_place() -> None:
    """No module exists that the floors do not know, and none of the floors is missing."""
    rooms = {room_of(path) for path in modules()} - {"sandbox"}
    assert rooms == set(FLOOR)


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_down(path: Path) -> None:
    """A room imports rooms of lower floors, or earlier ones of its own; edges do not import each other."""
    room = room_of(path)
    for other in our_imports(path):
        if room == "sandbox":
            assert other in SANDBOX_MAY, f"the sandbox imports {other}"
        elif other == "sandbox":
            assert FLOOR[room] == 4, f"{room} imports the sandbox"
        elif room in EDGES and other in EDGES:
            assert (room, other) == ("widgets", "charts"), f"edge {room} imports edge {other}"
        else:
            below = (FLOOR[other], PLACE[other]) < (FLOOR[room], PLACE[room])
            assert below, f"{room} imports {other}, which is not below it"


def test_no_import_through_the_package_root() -> None:
    """Inside the package siblings are imported by module, so that no cycle runs through __init__."""
    for path in modules():
        assert ("xcompliance_pd", True) not in imports(path), path.name


@pytest.mark.parametrize("room", FLOORS[0])
def test_words_need_only_the_standard_library(room: str) -> None:
    """Floor 0 imports nothing that has to be installed."""
    import sys

    foreign = {name.split(".")[0] for name, ours in imports(PACKAGE / f"{room}.py") if not ours}
    assert foreign <= set(sys.stdlib_module_names)


@pytest.mark.parametrize("room", FLOORS[1])
def test_rules_are_pure(room: str) -> None:
    """Floor 1 has no clock, socket, file or thread."""
    text = (PACKAGE / f"{room}.py").read_text()
    foreign = {name.split(".")[0] for name, ours in imports(PACKAGE / f"{room}.py") if not ours}
    banned = {"time", "socket", "threading", "pathlib", "os", "io", "requests", "urllib3", "tempfile", "random"}
    assert not foreign & banned
    assert not re.search(r"\b(open|print|input)\(|\.now\(|\.today\(", text)


def count(pattern: str, *, outside: set[str] = frozenset()) -> dict[str, int]:  # type: ignore[assignment]
    found = {}
    for path in modules():
        if room_of(path) in outside:
            continue
        hits = len(re.findall(pattern, path.read_text()))
        if hits:
            found[str(path.relative_to(PACKAGE))] = hits
    return found


def test_one_thread_one_wait_one_clock() -> None:
    """Outside the sandbox there is one place that starts a thread, one that waits, one that reads the clock."""
    sandbox = {"sandbox"}
    assert count(r"threading\.Thread\(", outside=sandbox) == {"run.py": 1}
    assert count(r"time\.sleep\(", outside=sandbox) == {}
    assert count(r"\bclock\.pause\(", outside=sandbox) == {"run.py": 1}
    assert count(r"time\.time\b", outside=sandbox) == {"runner.py": 1}
    assert count(r"datetime\.now\(|Timestamp\.now\(|utcnow\(", outside=sandbox) == {}


def test_two_sessions_no_redirects_no_unverified_tls() -> None:
    """The wire has its two sessions and nothing else speaks HTTP; TLS verification cannot be turned off."""
    sandbox = {"sandbox"}
    assert count(r"= _Session\(\)|requests\.Session\(\)", outside=sandbox) == {"transport.py": 1}  # called twice
    assert count(r"(?<!self\.)\brequests\.(get|post|put|request)\(", outside=sandbox) == {}
    assert count(r"allow_redirects=False") == {"transport.py": 1}
    assert count(r"verify\s*=\s*False") == {}


def test_no_pickle_and_no_eval() -> None:
    """Nothing that is read back from disk or the network can run code."""
    assert count(r"import pickle|pickle\.load|\beval\(|\bexec\(|read_pickle") == {}
