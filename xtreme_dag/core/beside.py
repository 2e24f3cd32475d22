"""What lies beside the package in a checkout, and inside it in an installation: flows, tasks, studies, contracts."""

from __future__ import annotations

from pathlib import Path

import xtreme_dag

_PACKAGE = Path(xtreme_dag.__file__).parent
_INSTALLED = _PACKAGE / "beside"
PACKAGE_PARENT = _PACKAGE.parent
BESIDE = _INSTALLED if _INSTALLED.is_dir() else PACKAGE_PARENT
"""The folder that holds `flows`, `tasks`, `studies` and `data_contracts`."""

STUDIES = BESIDE / "studies"
CONTRACTS = BESIDE / "data_contracts"


def shipped_studies() -> dict[str, Path]:
    """Name -> file of each study that comes with the program."""
    return {path.stem: path for path in sorted(STUDIES.glob("*.yaml"))}
