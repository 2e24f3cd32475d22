"""Puts what lies beside the package in the checkout into it: `flows`, `tasks`, `studies` and `data_contracts`.

As top-level packages of an installation they would shadow modules of those names, or be shadowed by them. They are in
`xtreme_dag/beside/` instead (`xtreme_dag.core.beside` finds them), which a `.pth` file adds to the end of the path.
"""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent
FOLDERS = ("flows", "tasks", "studies", "data_contracts")


class WithBeside(build_py):
    """Copies the folders; an editable installation needs no copy."""

    def run(self) -> None:
        """Builds the package, then copies."""
        super().run()
        if self.editable_mode:
            return
        out = Path(self.build_lib)
        for name in FOLDERS:
            target = out / "xtreme_dag" / "beside" / name
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(ROOT / name, target, ignore=shutil.ignore_patterns("__pycache__", "*.md"))
        (out / "xtreme_dag_beside.pth").write_text("xtreme_dag/beside\n", encoding="utf-8")


setup(cmdclass={"build_py": WithBeside})
