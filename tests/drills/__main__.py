"""`python -m tests.drills`: runs the drills and prints their table; exits 1 if anything was lost, wrong, or in disorder."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.drills import fuzz
from tests.drills.tally import Tally, as_table


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.drills", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="of everything that is drawn")
    parser.add_argument("--only", default="", help="one drill")
    parser.add_argument("--inputs", type=int, default=1_000_000, help="of the fuzz drill")
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
    if given.only in ("", "fuzz"):
        tallies.append(fuzz.fuzz(given.inputs, given.seed, given.target))
    print(as_table(tallies))
    sys.exit(not all(tally.clean for tally in tallies))


if __name__ == "__main__":
    main()
