"""Entry point of one process of a distributed training stage; `launch` starts it."""

from __future__ import annotations

import json
import os
import sys
import traceback
from pathlib import Path


def main() -> None:
    """Runs the stage whose job lies in the folder that the command line names; ends with 1 if it fails."""
    scratch = Path(sys.argv[1])
    job = json.loads((scratch / "job.json").read_text(encoding="utf-8"))
    # Before torch is imported, which counts its threads and devices then.
    os.environ.update(job["environment"])

    from xtreme_dag.core.processes import quick_start

    quick_start()
    from xtreme_dag.training import stages
    from xtreme_dag.training.launch import run_process

    code = 0
    try:
        run_process(scratch, job, getattr(stages, job["stage"]))
    except BaseException:
        traceback.print_exc()
        code = 1
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    # Torch's threads may abort a process on its way out when another one is gone already: its work is done.
    os._exit(code)


if __name__ == "__main__":
    main()
