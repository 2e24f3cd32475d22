"""The tests that a change most likely breaks, within 90 seconds on two cores: `make quick`, or `python -m tests.quick`.

Which: for every file that differs from the base (a commit given as argument, else where the branch left main, else the
last commit), in this order:

1. the changed tests themselves,
2. the namesake: `xtreme_dag/ROOM/x.py` has `tests/ROOM/test_x.py`,
3. tests in the mirrored folder that name the changed module or file,
4. tests elsewhere that name it,
5. the rest of the mirrored folder.

The floors (`test_architecture.py`) come first, slow tests and those that need a Prefect server never. Only the nearest 40
files are collected, and tests that have not begun 40 seconds after that are left out and counted as skipped: `make test`
runs all.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
ALWAYS = "tests/test_architecture.py"
SECONDS, FILES = 40.0, 40
_VARIABLE = "XTREME_DAG_QUICK_SECONDS"
_UNTIL = pytest.StashKey[float]()


def changed(base: str | None = None) -> list[str]:
    """Paths that differ from the base, tracked or not."""

    def git(*arguments: str) -> list[str]:
        done = subprocess.run(["git", *arguments], cwd=REPOSITORY, capture_output=True, text=True, check=False)
        return done.stdout.split()

    new = git("ls-files", "--others", "--exclude-standard")
    if base is not None:
        return [*git("diff", "--name-only", base), *new]
    fork = git("merge-base", "HEAD", "main") or git("rev-parse", "HEAD")
    return [*git("diff", "--name-only", *fork), *new] or git("diff", "--name-only", "HEAD~1")


def chosen(paths: Iterable[str], repository: Path = REPOSITORY) -> list[str]:
    """The test files for changed files, those first that are nearest to them."""
    texts = {path.relative_to(repository).as_posix(): path.read_text(encoding="utf-8")
             for path in sorted((repository / "tests").rglob("test_*.py"))}  # fmt: skip
    near: dict[str, int] = {ALWAYS: 0}
    for path in map(Path, paths):
        if path.as_posix() in texts:
            found = {path.as_posix(): 1}
        else:
            found = _reached(path, texts)
        for test, distance in found.items():
            near[test] = min(distance, near.get(test, distance))
    return sorted(near, key=lambda test: (near[test], test))


def _reached(path: Path, texts: dict[str, str]) -> dict[str, int]:
    """Test file -> distance (2 to 5) of those that a changed file reaches."""
    named = ".".join(path.with_suffix("").parts) if path.suffix == ".py" else path.name
    folder = _mirrored(path)
    inside = [test for test in texts if folder is not None and Path(test).is_relative_to(folder)]
    found = dict.fromkeys(inside, 5) | {
        test: 3 if test in inside else 4 for test, text in texts.items() if named in text
    }
    namesake = f"{folder}/test_{path.stem.strip('_')}.py"
    return found | ({namesake: 2} if namesake in texts else {})


def _mirrored(path: Path) -> Path | None:
    """The folder of tests of a file of the program: the nearest that there is."""
    parts = path.parts[1:-1] if path.parts[0] == "xtreme_dag" else path.parts[:-1]
    while parts and not (REPOSITORY / "tests").joinpath(*parts).is_dir():
        parts = parts[:-1]
    return Path("tests", *parts) if parts else None


def pytest_collection_finish(session: pytest.Session) -> None:
    """Sets the time until which tests may begin; collecting takes the longer the busier the machine is."""
    session.config.stash[_UNTIL] = time.monotonic() + float(os.environ.get(_VARIABLE, "inf"))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skips a test that has not begun in time."""
    if time.monotonic() >= item.config.stash[_UNTIL]:
        pytest.skip("no time left in a quick run")


def main(base: str | None = None) -> int:
    """Runs them; returns pytest's exit code."""
    tests = chosen(changed(base))
    print(*tests[:FILES], sep="\n")
    if len(tests) > FILES:
        print(f"... and {len(tests) - FILES} files that are farther from the change: make test")
    os.environ[_VARIABLE] = str(SECONDS)
    options = ["-p", "tests.quick", "-m", "not slow and not xdist_group", "-n", "2", "--dist", "load"]
    return int(pytest.main([*options, *tests[:FILES]]))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
