"""What lies beside the package in a checkout, and inside it in an installation: flows, tasks, studies, contracts."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import xtreme_dag

_PACKAGE = Path(xtreme_dag.__file__).parent
_INSTALLED = _PACKAGE / "beside"
_PARENT = _PACKAGE.parent
BESIDE = _INSTALLED if _INSTALLED.is_dir() else _PARENT
"""The folder that holds `flows`, `tasks`, `studies` and `data_contracts`."""

STUDIES = BESIDE / "studies"
CONTRACTS = BESIDE / "data_contracts"


def command_of(module: str, *arguments: str) -> list[str]:
    """The command that runs a module of `flows`; its environment needs `python_path()`."""
    # -P: a folder `flows` or `tasks` where the user stands is none of ours.
    return [sys.executable, "-P", "-m", "xtreme_dag.core.processes", module, *arguments]


def python_path() -> str:
    """`PYTHONPATH` of a process that runs a module of `flows`: what is ours comes before what is the user's."""
    roots = dict.fromkeys((str(BESIDE), str(_PARENT)))
    return os.pathsep.join(part for part in (*roots, os.environ.get("PYTHONPATH", "")) if part)


def shipped_studies() -> dict[str, Path]:
    """Name -> file of each study that comes with the program."""
    return {path.stem: path for path in sorted(STUDIES.glob("*.yaml"))}
