"""Fuzz the package with coverage: `python tests/fuzz/fuzz.py TARGET|all [--seconds N] [--seed N] [--keep]`.

Needs the extra `fuzz`. Exit status 1 if an input breaks a rule; the input is then in the folder that is named, and
`python tests/fuzz/fuzz.py TARGET --input FILE` runs it alone. With --keep, inputs that reach new code are added to
`tests/fuzz/corpus`, and those that the others make needless are removed; files with a word for a name always stay.
"""

from __future__ import annotations

import argparse
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterable
from pathlib import Path

HERE = Path(__file__).resolve().parent
NAMES = ("results", "evidence", "ids", "ledger")
LENGTH_MAX = 1500  # bytes of an input
HASHED = re.compile("[0-9a-f]{40}")  # libFuzzer names an input by its sha1


def run(name: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run libFuzzer on a target in a process of its own, because it ends the process."""
    command = [sys.executable, str(Path(__file__).resolve()), name, "--libfuzzer", *map(str, arguments)]
    return subprocess.run(
        command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    )


def libfuzzer(name: str, arguments: list[str]) -> None:
    import atheris

    warnings.simplefilter("error")  # as in the tests
    with atheris.instrument_imports(include=["xcompliance_pd", "targets"]):
        from targets import TARGETS
    # A merge starts this process anew, as a shell command that begins with the first argument.
    command = shlex.join([sys.executable, str(Path(__file__).resolve()), name, "--libfuzzer"])
    atheris.Setup([command, f"-max_len={LENGTH_MAX}", "-timeout=30", *arguments], TARGETS[name])
    atheris.Fuzz()


def fuzz(name: str, seconds: int, seed: int, keep: bool) -> bool:
    """Fuzz one target and print what came of it; True if no rule broke."""
    folder = Path(tempfile.mkdtemp(prefix=f"fuzz-{name}-"))
    corpus, new, broken = HERE / "corpus" / name, folder / "new", folder / "broken"
    new.mkdir()
    broken.mkdir()
    report = run(
        name,
        *(f"-max_total_time={seconds}", f"-seed={seed}", f"-dict={HERE / name}.dict"),
        *(f"-artifact_prefix={broken}/", "-print_final_stats=1", new, corpus),
    )
    count = re.search(r"number_of_executed_units: (\d+)", report.stdout)
    edges, features = (re.findall(r"cov: (\d+) ft: (\d+)", report.stdout) or [("?", "?")])[-1]
    print(
        f"{name}: {count[1] if count else '?'} executions, {edges} edges, {features} features, "
        f"{len(list(corpus.iterdir()))} inputs in the corpus, {len(list(new.iterdir()))} new, "
        f"{len(list(broken.iterdir()))} that break a rule",
        flush=True,
    )
    ok = report.returncode == 0
    if not ok:
        print(report.stdout[-6000:], f"Inputs that break a rule are in {broken}", sep="\n", flush=True)
    else:
        if keep:
            merge(name, corpus, new)
        shutil.rmtree(folder)
    return ok


def merge(name: str, corpus: Path, new: Path) -> None:
    """Make the corpus the smallest one that libFuzzer can find with the same coverage."""
    with tempfile.TemporaryDirectory() as folder:
        run(name, "-set_cover_merge=1", folder, corpus, new).check_returncode()
        smallest = {path.name: path.read_bytes() for path in Path(folder).iterdir()}
    named = {path.read_bytes() for path in corpus.iterdir() if not HASHED.fullmatch(path.name)}
    for path in corpus.iterdir():
        if HASHED.fullmatch(path.name) and path.name not in smallest:
            path.unlink()
    for file, data in smallest.items():
        if data not in named:
            (corpus / file).write_bytes(data)
    files = list(corpus.iterdir())
    print(f"{name}: kept {len(files)} inputs, {sum(path.stat().st_size for path in files)} bytes", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description="Fuzz the package with coverage.")
    parser.add_argument("target", choices=(*NAMES, "all"))
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", action="store_true", help="update the corpus")
    parser.add_argument("--input", type=Path, help="run this file alone")
    parser.add_argument("--libfuzzer", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.libfuzzer is not None:
        libfuzzer(chosen.target, chosen.libfuzzer)
    names = NAMES if chosen.target == "all" else (chosen.target,)
    if chosen.input:
        return run_once(names, chosen.input)
    passed = [fuzz(name, chosen.seconds, chosen.seed, chosen.keep) for name in names]
    return 0 if all(passed) else 1


def run_once(names: Iterable[str], path: Path) -> int:
    from targets import TARGETS

    for name in names:
        TARGETS[name](path.read_bytes())
    return 0


if __name__ == "__main__":
    sys.exit(main())
