"""`python -m tests.drills`: runs the drills and prints their table; exits 1 if anything was lost, wrong, or in disorder."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

from tests.drills import damage, ends, fuzz, place
from tests.drills.tally import Tally, as_table
from xtreme_dag.core.home import Home
from xtreme_dag.program.server import QUIET, server

HOMES = ("damage", "kills", "signals", "disks")


def drill_homes(root: Path, given: argparse.Namespace) -> list[Tally]:
    """The drills that need a finished home, with one Prefect server for those whose runs are recorded."""
    study = place.write_study(root)
    recorded = not given.no_prefect and bool({"damage", "disks"} & given.only)
    with server(Home(root / "server").ensure(), print) if recorded else nullcontext("http://127.0.0.1:1/api") as api:
        # As `ask_flows` has it: Prefect's own account of failures is for its server.
        os.environ |= {**QUIET, "PREFECT_API_URL": api, "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
                       "PREFECT_LOGGING_INTERNAL_LEVEL": "CRITICAL"}  # fmt: skip
        place.warm()
        home, folder = root / "home", root / "copies"
        folder.mkdir()
        begun = place.call(["run", str(study), "--device", "cpu", "--home", str(home)], root, 600.0, prefect=recorded)
        if begun.code:
            raise SystemExit(begun.out + begun.err)
        drills: dict[str, Callable[[], Tally]] = {
            "damage": lambda: damage.drill(home, study, folder, given.seed, given.most, given.first, given.number),
            "kills": lambda: ends.kills(home, study, folder, given.seed, given.kills),
            "signals": lambda: ends.signals(home, study, folder, given.seed),
            "disks": lambda: ends.disks(home, study, folder, given.first, given.disks, prefect=recorded),
        }
        return [drill() for name, drill in drills.items() if name in given.only]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.drills", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="of everything that is drawn")
    parser.add_argument(
        "--only", type=lambda given: set(given.split(",")), default={"fuzz", *HOMES}, help="drills, with commas between"
    )
    parser.add_argument(
        "--no-prefect", action="store_true", help="no server for damage and disks, and nothing of Prefect's"
    )
    parser.add_argument("--inputs", type=int, default=1_000_000, help="of the fuzz drill")
    parser.add_argument("--most", type=int, help="damages at most")
    parser.add_argument("--first", type=int, default=0, help="damages or sizes of disks before this one are left out")
    parser.add_argument("--number", type=int, help="one damage")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--disks", type=int, default=20, help="sizes of disks")
    parser.add_argument("--target", default="", help="one target of the fuzz drill")
    parser.add_argument(
        "--repeat", default="", metavar="TARGET:NUMBER", help="one input of the fuzz drill, with its traceback"
    )
    given = parser.parse_args()
    if given.repeat:
        name, _, number = given.repeat.rpartition(":")
        with tempfile.TemporaryDirectory() as folder:
            import random

            print(fuzz.TARGETS[name].reader(Path(folder))(random.Random(f"{given.seed}/{name}/{number}")))
        return
    tallies: list[Tally] = []
    if "fuzz" in given.only:
        tallies.append(fuzz.fuzz(given.inputs, given.seed, given.target))
    if given.only & set(HOMES):
        with tempfile.TemporaryDirectory(prefix="drill-", dir=fuzz.MEMORY_FOLDER) as root:
            tallies += drill_homes(Path(root), given)
    print(as_table(tallies))
    sys.exit(not all(tally.clean for tally in tallies))


if __name__ == "__main__":
    main()
