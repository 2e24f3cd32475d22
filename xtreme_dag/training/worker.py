"""What torchrun starts: one process of a training stage."""

from __future__ import annotations

import sys
from pathlib import Path

from xtreme_dag.training.launch import run_process
from xtreme_dag.training.stages import intermediate, pretrain_text, target


def main() -> None:
    """Runs the stage whose job lies in the folder that the command line names."""
    stages = {"intermediate": intermediate, "target": target, "pretrain_text": pretrain_text}
    run_process(Path(sys.argv[1]), stages)


if __name__ == "__main__":
    main()
