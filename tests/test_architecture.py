"""Three floors: imports go down, never up, never sideways; what a plan touches stays light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ALLOWED = {"xtreme_dag": {"xtreme_dag"}, "tasks": {"xtreme_dag", "tasks"}, "flows": {"xtreme_dag", "tasks", "flows"}}
HEAVY = ("torch", "prefect", "pandas", "transformers", "great_expectations", "datasets", "duckdb", "pyarrow")


def imports(path: Path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module


@pytest.mark.parametrize("floor", ALLOWED)
def test_imports_go_down(repository, floor):
    for path in (repository / floor).rglob("*.py"):
        for name in imports(path):
            head = name.split(".")[0]
            assert head not in ALLOWED or head in ALLOWED[floor], f"{path.name} imports {name}"
            assert head != "prefect" or floor != "xtreme_dag", f"{path.name} imports Prefect"


@pytest.mark.parametrize("floor", ["tasks", "flows"])
def test_no_import_goes_sideways(repository, floor):
    """Between tasks or flows only the foundations (names that begin with an underscore) are shared."""
    for path in (repository / floor).glob("[a-z]*.py"):
        for name in imports(path):
            parts = name.split(".")
            assert parts[0] != floor or parts[1].startswith("_"), f"{path.name} imports {name}"


def test_no_module_is_too_long(repository):
    for floor in ALLOWED:
        for path in (repository / floor).rglob("*.py"):
            assert len(path.read_text().splitlines()) <= 400, path


def loaded(code: str) -> set[str]:
    script = f"import sys\n{code}\nprint(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_plan_status_and_why_import_nothing_heavy(repository):
    code = "from xtreme_dag.program.commands import plan, status, why, accept, gc, verify\nfrom xtreme_dag.wiring.build import build\nfrom pathlib import Path\nfrom xtreme_dag.study.file import load_study\n"  # fmt: skip
    code += f"build(load_study(Path({str(repository / 'studies' / 'demo.yaml')!r})))"
    assert not loaded(code) & set(HEAVY)


def test_scoring_needs_numpy_only():
    assert not loaded("import xtreme_dag.scoring") & set(HEAVY)
