"""Fingerprints: followed name by name as Python resolves them, and blind to what cannot change behaviour."""

import ast
import shutil
from pathlib import Path

import pytest

import xtreme_dag
from xtreme_dag.engine.code_changes import code_changes
from xtreme_dag.engine.fingerprint import CodeBase, digest
from xtreme_dag.wiring.entry import evaluators

STAGES = [
    "xtreme_dag.data.prepare.prepare:prepare",
    "xtreme_dag.heads.encoding:encode",
    "xtreme_dag.contracts.check:check",
    "xtreme_dag.training.stages:intermediate",
    "xtreme_dag.training.stages:target",
    "xtreme_dag.training.planted:plant",
    *evaluators().values(),
]

A = """
from proj import b, c as see
from proj.b import helper
import proj.d.e
X = 1
def stage(n=3):
    from proj.f import late
    used = [helper(y) for y in range(n)]
    return late(used) + b.other() + see.value.bit_length() + proj.d.e.deep()
def shadow():
    unused = 5
    return unused
def unused():
    return 0
"""
FILES = {
    "__init__.py": "",
    "a.py": A,
    "b.py": "K = 2\ndef helper(x):\n    return x * K\ndef other():\n    return Thing().go()\nclass Thing:\n    def go(self):\n        return 1\ndef not_reached():\n    return 9\n",
    "c.py": "value = 7\nother = 8\n",
    "d/__init__.py": "",
    "d/e.py": "from proj.b import K as again\ndef deep():\n    return again\n",
    "f.py": "from .d import e\ndef late(v, *, scale: int = 1):\n    return len(v) * scale + e.deep()\n",
}


@pytest.fixture
def project(tmp_path):
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return tmp_path


def names(project, function="proj.a:stage"):
    return CodeBase(project, "proj").fingerprint(function)


def test_reaches_what_python_would(project):
    assert set(names(project)) == {
        "proj.a.stage",
        "proj.b.helper",
        "proj.b.K",
        "proj.b.other",
        "proj.b.Thing",
        "proj.c.value",
        "proj.d.e.deep",
        "proj.f.late",
    }


def test_a_local_variable_is_not_the_module_name_that_it_shadows(project):
    assert set(names(project, "proj.a:shadow")) == {"proj.a.shadow"}


@pytest.mark.parametrize(
    ("file", "old", "new", "changed"),
    [
        ("b.py", "K = 2", "K = 3", {"proj.b.K"}),
        ("a.py", "n=3", "n=4", {"proj.a.stage"}),
        ("f.py", "scale: int = 1", "scale: int = 2", {"proj.f.late"}),
        ("b.py", "return 1\n", "return 2\n", {"proj.b.Thing"}),
        ("b.py", "return x * K", "return x + K", {"proj.b.helper"}),
        ("b.py", "return 9", "return 10", set()),
        ("c.py", "other = 8", "other = 9", set()),
        ("a.py", "def unused():\n    return 0", "def unused():\n    return 1", set()),
        ("b.py", "def helper(x):\n", 'def helper(x):\n    """Doc."""\n    # why\n\n', set()),
        ("b.py", "return x * K", "return (x\n        * K)", set()),
    ],
)
def test_says_which_name_changed(project, file, old, new, changed):
    before = names(project)
    path = project / file
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    after = names(project)
    assert code_changes(before, after) == sorted(f"{name} changed" for name in changed)
    assert (digest(after) == digest(before)) == (not changed)


def test_a_side_effect_of_a_module_counts_where_the_module_does(project):
    path = project / "c.py"
    before = names(project)
    path.write_text(path.read_text() + "print('registered')\n")
    after = names(project)
    assert "proj.c.<module>" in after and "proj.c.<module>" not in before
    assert code_changes(before, after) == ["proj.c.<module> added"]


def test_no_such_function(project):
    with pytest.raises(KeyError):
        names(project, "proj.a:nothing")


@pytest.mark.parametrize("stage", sorted(set(STAGES)))
def test_every_stage_function_of_the_project_has_one(stage):
    found = CodeBase.current().fingerprint(stage)
    module, _, name = stage.partition(":")
    assert f"{module}.{name}" in found


def test_rewriting_every_file_without_comments_and_with_other_docstrings_changes_nothing(tmp_path):
    source = Path(xtreme_dag.__file__).parent
    shutil.copytree(source, tmp_path / "xtreme_dag", ignore=shutil.ignore_patterns("__pycache__"))
    before = {stage: CodeBase.current().fingerprint(stage) for stage in STAGES}
    for path in (tmp_path / "xtreme_dag").rglob("*.py"):
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef) and ast.get_docstring(node):
                node.body[0].value.value = "Something else."
        path.write_text("# rewritten\n" + ast.unparse(tree) + "\n")
    code = CodeBase(tmp_path / "xtreme_dag")
    assert {stage: code.fingerprint(stage) for stage in STAGES} == before


def test_training_does_not_reach_the_reporting_metrics():
    code = CodeBase.current()
    for stage in ("xtreme_dag.training.stages:target", "xtreme_dag.training.stages:intermediate"):
        assert not [name for name in code.fingerprint(stage) if name.startswith("xtreme_dag.evaluation.")]


def test_the_two_trainings_have_helpers_of_their_own():
    code = CodeBase.current()
    target = set(code.fingerprint("xtreme_dag.training.stages:target"))
    intermediate = set(code.fingerprint("xtreme_dag.training.stages:intermediate"))
    assert any(".target." in name for name in target - intermediate)
    assert any(".intermediate." in name for name in intermediate - target)


def test_code_is_parsed_once_until_a_byte_of_it_is_another(tmp_path, monkeypatch):
    copy = tmp_path / "xtreme_dag"
    shutil.copytree(Path(xtreme_dag.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(xtreme_dag, "__file__", str(copy / "__init__.py"))
    stage = "xtreme_dag.training.stages:target"
    before = CodeBase.current()
    found = before.fingerprint(stage)
    assert CodeBase.current() is before
    path = copy / "training" / "stages.py"
    path.write_text(path.read_text().replace("def target(", "def target(  # the same\n"))
    assert CodeBase.current() is not before and CodeBase.current().fingerprint(stage) == found
    path.write_text(path.read_text() + "\ntarget.more = 1\n")
    assert CodeBase.current().fingerprint(stage) != found
