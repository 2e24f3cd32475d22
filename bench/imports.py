"""What a process that trains, or checks data, imports: with `core/quick_imports.py` and without, in turn.

    python -m bench.imports [--rounds 5]

Both sides have the garbage collector's higher threshold, and torch. Seconds of a processor in processes of their own,
medians. Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys

WORK = {
    "transformers": "from transformers import XLMRobertaModel",
    "training": "import xtreme_dag.training.stages; from transformers import XLMRobertaModel; "
    "torch.optim.AdamW([torch.nn.Parameter(torch.ones(2, 2))]).step()",
    "great_expectations": "import great_expectations",
}
SCRIPT = """
import gc, os, sys, time
if "quick" in sys.argv:
    from xtreme_dag.core.processes import quick_start
    quick_start()
gc.set_threshold(50_000)
import torch
start = time.process_time()
{work}
print(time.process_time() - start, flush=True)
os._exit(0)
"""


def seconds(work: str, *how: str) -> float:
    """Seconds of a processor that one process needs."""
    command = [sys.executable, "-c", SCRIPT.format(work=work), *how]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    found = {}
    for name, work in WORK.items():
        seconds(work, "quick")  # the names are kept from then on, and files are in memory
        plain, quick = zip(*((seconds(work), seconds(work, "quick")) for _ in range(rounds)), strict=True)
        found[name] = {
            "plain_seconds": round(statistics.median(plain), 2),
            "quick_seconds": round(statistics.median(quick), 2),
            "ratio": round(statistics.median(q / p for p, q in zip(plain, quick, strict=True)), 2),
        }
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
