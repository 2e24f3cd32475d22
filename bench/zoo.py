"""Tiny models of every architecture of the zoo, each with every damage, through the pre-flight: `python -m bench.zoo`.

Prints a table of what was found first: a fault stops a run, a warning does not; and the counts of damages that nothing
was said of, of tracebacks, and of looks that took longer than ten seconds. Exits 1 unless these are 0.

With `--loads` every folder, spoilt or not, is loaded in two processes instead, in opposite orders: those that load at all
must give the same bits in both.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from transformers.utils import logging

from tests.model import zoo
from tests.model.damages import DAMAGES
from xtreme_dag.core.errors import UserError
from xtreme_dag.heads.trained import load_model
from xtreme_dag.model.trial import trial
from xtreme_dag.wiring.preflight import preflight

SECONDS = 10


@contextmanager
def limited() -> Iterator[None]:
    """Ends what hangs."""

    def late(*_: object) -> None:
        raise TimeoutError

    signal.signal(signal.SIGALRM, late)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)


def outcome(folder: Path, beside: set[str]) -> tuple[str, str]:
    """A word for what the pre-flight says that it does not say of the folder without damage, and its first line."""
    try:
        with limited():
            found = preflight(folder, trial)
    except TimeoutError:
        return "HANGS", ""
    except Exception as error:  # what the bench is for
        return "TRACEBACK", f"{type(error).__name__}: {error}"
    new = [finding for finding in found if finding.what not in beside]
    if not new:
        return "SILENT", ""
    return "fault" if new[0].fatal else "warning", str(new[0])


def digest(folder: Path) -> str:
    """Of all weights of a loaded folder, and their names; empty for one that is refused."""
    try:
        state = load_model(folder, log=lambda _line: None).state_dict()
    except UserError:
        return ""
    parts = (part for name, value in sorted(state.items()) for part in (name.encode(), value.numpy().tobytes()))
    return hashlib.sha256(b"".join(parts)).hexdigest()


def loads(root: Path, names: Sequence[str], damages: Sequence[str]) -> int:
    """Makes all folders, loads them in two fresh processes, and prints how many loaded; returns how many differed."""
    for name in names:
        zoo.make(root / name / "whole", name)
        for damage in damages:
            shutil.copytree(root / name / "whole", root / name / damage)
            DAMAGES[damage](root / name / damage)
    command = [sys.executable, "-m", "bench.zoo", "--digests", str(root)]
    one, other = (
        json.loads(subprocess.run([*command, *more], check=True, capture_output=True, text=True).stdout)
        for more in ((), ("--backwards",))
    )
    differ = sorted(folder for folder in one if one[folder] != other[folder])
    loaded = sum(bool(found) for found in one.values())
    print(
        f"{len(one)} folders, {loaded} load, {len(one) - loaded} are refused; {len(differ)} differ between two processes"
    )
    print(*differ, sep="\n", end="")
    return len(differ)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", default=list(zoo.ENCODERS), help="architectures")
    parser.add_argument("--damages", nargs="*", default=list(DAMAGES), help="damages")
    parser.add_argument("--lines", action="store_true", help="print what was said, too")
    parser.add_argument("--loads", action="store_true", help="load every folder twice instead")
    parser.add_argument("--digests", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--backwards", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    logging.disable_progress_bar()
    if options.digests:
        folders = sorted(options.digests.glob("*/*"), reverse=options.backwards)
        print(json.dumps({str(folder.relative_to(options.digests)): digest(folder) for folder in folders}))
        return
    if options.loads:
        with tempfile.TemporaryDirectory() as place:
            sys.exit(loads(Path(place), options.only, options.damages) > 0)
    counts: Counter[str] = Counter()
    seconds: list[float] = []
    print("| damage |", " | ".join(options.only), "|\n|---|" + "---|" * len(options.only))
    with tempfile.TemporaryDirectory() as root:
        good = Path(root) / "good"
        whole = {}
        for name in options.only:
            zoo.make(good / name, name)
            found = preflight(good / name, trial)
            whole[name] = {finding.what for finding in found}
            faults = [str(finding) for finding in found if finding.fatal]
            if faults:
                counts["FALSE ALARM"] += 1
                print(f"{name}: {faults}", file=sys.stderr)
        for damage in options.damages:
            row = []
            for name in options.only:
                folder = Path(root) / "spoilt"
                shutil.copytree(good / name, folder)
                DAMAGES[damage](folder)
                started = time.perf_counter()
                word, line = outcome(folder, whole[name])
                seconds.append(time.perf_counter() - started)
                counts[word] += 1
                row.append(word)
                if options.lines or word.isupper():
                    print(f"{name}: {damage}: {word} {line.replace(str(folder), '.')}", file=sys.stderr)
                shutil.rmtree(folder)
            print(f"| {damage} |", " | ".join(row), "|", flush=True)
    print(dict(counts), f"longest {max(seconds):.2f} s, median {sorted(seconds)[len(seconds) // 2]:.3f} s")
    sys.exit(any(word.isupper() for word in counts))


if __name__ == "__main__":
    main()
