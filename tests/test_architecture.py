"""Seven floors: imports go down, never up, never in a circle; what a plan touches stays light."""

import re
import shutil
import subprocess
import sys

import pytest

from tests import floors

HEAVY = ("torch", "prefect", "pandas", "transformers", "great_expectations", "datasets", "duckdb", "pyarrow")


@pytest.fixture(scope="module")
def edges(repository):
    return floors.imports(repository)


@pytest.fixture
def copy(repository, tmp_path):
    """The project's code, to be changed."""
    for name in ("xtreme_dag", "tasks", "flows"):
        shutil.copytree(repository / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def test_no_import_goes_up_or_in_a_circle(edges):
    print(floors.summary(edges))
    assert floors.upward(edges) == []
    assert floors.circles(edges) == [] and floors.circles(floors.between_rooms(edges)) == []
    assert floors.summary(edges) == "upward imports: 0, import circles: 0"


def test_every_room_is_on_a_floor(repository):
    assert floors.strangers(repository) == set()


def test_every_import_is_of_something_that_is_there(repository, edges):
    """Else an import of a module that has moved would count as none."""
    assert sum(map(len, edges.values())) > 500
    for module, path in floors.modules(repository).items():
        for name in re.findall(r"^ *(?:from|import) ((?:xtreme_dag|tasks|flows)\.[\w.]+)", path.read_text(), re.M):
            assert name in edges, f"{module} imports {name}"


@pytest.mark.parametrize(
    "text",
    [
        "from xtreme_dag.program import cli\n",
        "import xtreme_dag.program.cli as cli\n",
        "def f():\n    from xtreme_dag.program.cli import main\n",
        "from typing import TYPE_CHECKING\n\nif TYPE_CHECKING:\n    from xtreme_dag.program.cli import main\n",
        "from ..program.cli import main\n",
        "from ..program import cli\n",
    ],
)
def test_an_upward_import_is_found(copy, text):
    (copy / "xtreme_dag" / "core" / "upward.py").write_text(text)
    found = floors.imports(copy)
    assert "xtreme_dag.core.upward -> xtreme_dag.program.cli" in floors.upward(found)
    assert floors.summary(found).startswith("upward imports: ") and ": 0," not in floors.summary(found)


def test_a_circle_is_found_inside_a_room_and_between_rooms_of_a_floor(copy):
    core = copy / "xtreme_dag" / "core"
    (core / "one.py").write_text("def f():\n    from xtreme_dag.core import two\n")
    (core / "two.py").write_text("from xtreme_dag.core.one import f\n")
    (copy / "xtreme_dag" / "model" / "one.py").write_text("import xtreme_dag.results.views\n")
    (copy / "xtreme_dag" / "results" / "one.py").write_text("import xtreme_dag.model.folder\n")
    found = floors.imports(copy)
    assert floors.upward(found) == [] and floors.summary(found) == "upward imports: 0, import circles: 2"
    assert {"xtreme_dag.core.one", "xtreme_dag.core.two"} == set(floors.circles(found)[0])
    assert {"model", "results"} == set(floors.circles(floors.between_rooms(found))[0])


def test_a_new_room_must_be_entered(copy):
    (copy / "xtreme_dag" / "attic").mkdir()
    (copy / "xtreme_dag" / "attic" / "box.py").write_text("")
    (copy / "xtreme_dag" / "loose.py").write_text("")
    assert floors.strangers(copy) == {"attic", "loose"}
    (copy / "xtreme_dag" / "program" / "uses.py").write_text("from xtreme_dag.attic import box\n")
    assert floors.upward(floors.imports(copy)) == ["xtreme_dag.program.uses -> xtreme_dag.attic.box"]


def test_the_engine_knows_nothing_of_the_domain(edges):
    assert floors.between_rooms(edges)["engine"] == {"core"}


def test_the_page_shows_the_floors(repository):
    text = (repository / "docs" / "architecture.md").read_text()
    shown = {
        int(floor): tuple(re.findall(r"`(\w+)`", rooms))
        for floor, rooms in re.findall(r"^\| (\d) \| ((?:`\w+` ?)+)\|", text, re.M)
    }
    assert shown == floors.FLOORS
    for one in (room for floor, rooms in floors.FLOORS.items() if floor < 6 for room in rooms):
        assert re.search(rf"^\| `{one}/` \|", text, re.M), f"{one} is not described"


def test_only_tasks_and_flows_know_prefect(repository):
    for module, path in floors.modules(repository).items():
        if module.startswith("xtreme_dag."):
            assert not re.search(r"^ *(import|from) prefect", path.read_text(), re.M), f"{module} imports Prefect"


@pytest.mark.parametrize("floor", ["tasks", "flows"])
def test_no_import_goes_sideways(edges, floor):
    """Between tasks or flows only the foundations (names that begin with an underscore) are shared."""
    for module, others in edges.items():
        if floors.room(module) == floor and not module.startswith(f"{floor}._"):
            sideways = {other for other in others if floors.room(other) == floor}
            assert all(other.startswith(f"{floor}._") for other in sideways), f"{module} imports {sideways}"


def test_no_module_is_too_long(repository):
    for path in floors.modules(repository).values():
        assert len(path.read_text().splitlines()) <= 400, path


def loaded(code: str) -> set[str]:
    script = f"import sys\n{code}\nprint(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_plan_status_and_why_import_nothing_heavy(repository):
    code = "from xtreme_dag.program import planning\nfrom xtreme_dag.program.commands import plan, status, why, accept, gc, verify\nfrom xtreme_dag.wiring.build import build\nfrom pathlib import Path\nfrom xtreme_dag.study.file import load_study\n"  # fmt: skip
    code += f"build(load_study(Path({str(repository / 'studies' / 'demo.yaml')!r})))"
    assert not loaded(code) & {*HEAVY, "numpy"}


def test_scoring_needs_numpy_only():
    assert not loaded("import xtreme_dag.scoring") & set(HEAVY)
