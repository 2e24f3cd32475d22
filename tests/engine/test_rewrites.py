"""Rewrites that change no behaviour change no fingerprint: of generated packages, and of this one."""

import ast
import re
import shutil
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import xtreme_dag
from xtreme_dag.engine.code_changes import code_changes
from xtreme_dag.engine.fingerprint import CodeBase, digest
from xtreme_dag.study.file import load_study
from xtreme_dag.wiring.build import build

PACKAGE = Path(xtreme_dag.__file__).parent
ROOMS = (
    "core",
    "engine",
    "formats",
    "heads",
    "tables",
    "scoring",
    "model",
    "contracts",
    "data",
    "training",
    "evaluation",
)


@dataclass(frozen=True)
class Unit:
    """One definition of a generated package: its sort, a number in it, and the units that it names."""

    sort: str
    value: int
    names: tuple[int, ...]


@dataclass(frozen=True)
class Layout:
    """How a package is written down: the name, module and way of importing of each unit, and their order."""

    names: list[str]
    homes: list[int]
    styles: list[int]
    order: list[int]


FORMS = {
    "function": "def {name}(x, scale={value}):\n{late}    '''{text}'''\n    if x is None:\n        raise ValueError('{text}')\n"
    "    return [({names}) for y in range(scale)]\n",
    "class": "class {name}({base}):\n    '''{text}'''\n    size = {value}\n    def go(self, x: int = 0):\n"
    "        return x, {names}\n",
    "constant": "# {text}\n{name} = ({value}, lambda: ({names}))\n",
    "decorated": "@({base}, lambda f: f)[1]\ndef {name}():\n    yield {value}, {names}\n",
}


def written(units, layout, text="Says something."):
    """The files of a package with these units."""
    modules = sorted(set(layout.homes))
    heads, bodies = {m: [] for m in modules}, {m: [] for m in modules}
    for index in layout.order:
        unit, home = units[index], layout.homes[index]
        spelled, late = [], []
        for other in unit.names:
            name, there = layout.names[other], layout.homes[other]
            style = layout.styles[(index * 7 + other) % len(layout.styles)]
            if there == home:
                spelled.append(name)
                continue
            statement, spelling = [
                (f"from gen.m{there} import {name}", name),
                (f"from .m{there} import {name} as a_{name}", f"a_{name}"),
                (f"import gen.m{there}", f"gen.m{there}.{name}"),
                (f"from . import m{there} as mm{there}", f"mm{there}.{name}"),
                (f"import gen.m{there} as im{there}", f"im{there}.{name}"),
                (f"from gen import {name} as f_{name}", f"f_{name}"),
                (f"from gen.stars import {name} as s_{name}", f"s_{name}"),
                (f"from .m{there} import {name} as l_{name}", f"l_{name}"),
            ][style]
            (late if style == 7 and unit.sort == "function" else heads[home]).append(statement)
            spelled.append(spelling)
        indent = "    "
        fields = {
            "name": layout.names[index],
            "value": unit.value,
            "text": text,
            "names": ", ".join(f"{each}" for each in (*spelled, "None")),
            "base": spelled[0] if spelled else "object",
            "late": "".join(f"{indent}{each}\n" for each in late),
        }
        bodies[home].append(FORMS[unit.sort].format(**fields))
    files = {f"m{m}.py": "\n".join([f"'''{text}'''", *heads[m], *bodies[m]]) + "\n" for m in modules}
    face = "".join(f"from .m{home} import {name}\n" for name, home in zip(layout.names, layout.homes, strict=True))
    return files | {"__init__.py": face, "stars.py": "".join(f"from .m{m} import *\n" for m in modules)}


@st.composite
def packages(draw, layouts=2):
    """Units, and ways of writing them down."""
    size = draw(st.integers(2, 8))
    numbers = st.integers(0, size - 1)
    units = [Unit("function", 1, tuple(draw(st.lists(numbers, min_size=1, max_size=4, unique=True))))]
    for _ in range(size - 1):
        names = tuple(draw(st.lists(numbers, max_size=3, unique=True)))
        units.append(Unit(draw(st.sampled_from(sorted(FORMS))), draw(st.integers(1, 3)), names))
    ways = []
    for which in range(layouts):
        ways.append(
            Layout(
                names=[f"d{each}_{which}" for each in draw(st.permutations(range(size)))],
                homes=[draw(st.integers(0, 3)) for _ in range(size)],
                styles=draw(st.lists(st.integers(0, 7), min_size=5, max_size=5)),
                order=list(draw(st.permutations(range(size)))),
            )
        )
    return units, ways


def fingerprints(folder, units, layout, text="Says something."):
    """The fingerprint of each unit."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, content in written(units, layout, text).items():
        ast.parse(content)
        (folder / name).write_text(content)
    code = CodeBase(folder, "gen")
    return [code.fingerprint(f"gen.m{home}:{name}") for home, name in zip(layout.homes, layout.names, strict=True)]


@settings(max_examples=60, deadline=None)
@given(packages())
def test_names_homes_order_imports_and_texts_of_a_generated_package_do_not_count(tmp_path_factory, drawn):
    units, (one, other) = drawn
    folder = tmp_path_factory.getbasetemp() / "gen"
    before = fingerprints(folder, units, one)
    after = fingerprints(folder, units, other, "Reworded.")
    assert [digest(each) for each in before] == [digest(each) for each in after]
    assert all(code_changes(old, new) == [] for old, new in zip(before, after, strict=True))


@settings(max_examples=60, deadline=None)
@given(packages(), st.data())
def test_a_change_counts_for_exactly_what_reaches_it_and_is_named(tmp_path_factory, drawn, data):
    units, (one, other) = drawn
    folder = tmp_path_factory.getbasetemp() / "gen"
    place = data.draw(st.integers(0, len(units) - 1))
    edited = [replace(unit, value=99) if index == place else unit for index, unit in enumerate(units)]
    before = fingerprints(folder, units, one)
    name = f"gen.m{one.homes[place]}.{one.names[place]}"
    renamed = f"gen.m{other.homes[place]}.{other.names[place]}"
    for layout, reason in ((one, f"{name} changed"), (other, f"{name} -> {renamed} changed")):
        for old, new in zip(before, fingerprints(folder, edited, layout), strict=True):
            assert (digest(old) != digest(new)) == (name in old)
            assert code_changes(old, new) == ([reason] if name in old else [])


# The package itself.


@pytest.fixture(scope="module")
def functions():
    study = load_study(PACKAGE.parent / "studies" / "demo.yaml")
    return sorted({stage.function for stage in build(study).graph})


@pytest.fixture(scope="module")
def original(functions):
    code = CodeBase()
    return {function: code.fingerprint(function) for function in functions}


def rewritten(tmp_path, rewrite):
    """A copy of the package, its syntax trees rewritten by module name: `rewrite(trees)` may add modules."""
    copy = tmp_path / "xtreme_dag"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    trees = {}
    for room in ROOMS:
        for path in sorted((copy / room).rglob("*.py")):
            name = ".".join(path.relative_to(tmp_path).with_suffix("").parts)
            trees[name.removesuffix(".__init__")] = ast.parse(path.read_text())
    rewrite(trees)
    for name, tree in trees.items():
        path = tmp_path.joinpath(*name.split("."))
        file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        file.write_text(ast.unparse(ast.fix_missing_locations(tree)) + "\n")
    return CodeBase(copy)


def unchanged(code, original):
    for function, before in original.items():
        after = code.fingerprint(function)
        assert code_changes(before, after) == []
        assert digest(after) == digest(before), function


def own_functions(tree):
    """The functions of a module that are defined once."""
    counts = Counter(getattr(each, "name", "") for each in tree.body)
    return [each for each in tree.body if isinstance(each, ast.FunctionDef) and counts[each.name] == 1]


def test_renaming_every_private_function(tmp_path, original):
    def rewrite(trees):
        renamed = {}
        for home, tree in trees.items():
            nodes = list(ast.walk(tree))
            bound = {node.arg for node in nodes if isinstance(node, ast.arg | ast.keyword)}
            bound |= {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
            names = {each.name for each in own_functions(tree) if re.match("_[a-z]", each.name)} - bound
            renamed[home] = names
            for each in own_functions(tree):
                each.name += "_anew" if each.name in names else ""
            for node in nodes:
                if isinstance(node, ast.Name) and node.id in names:
                    node.id += "_anew"
        for node in (node for tree in trees.values() for node in ast.walk(tree)):
            if isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    if alias.name in renamed.get(node.module, ()):
                        alias.name, alias.asname = f"{alias.name}_anew", alias.asname or alias.name

    unchanged(rewritten(tmp_path, rewrite), original)


def test_moving_the_first_function_of_every_module_to_a_new_one(tmp_path, original):
    def rewrite(trees):
        for home, tree in list(trees.items()):
            movable = [each for each in own_functions(tree) if "__file__" not in ast.unparse(each)]
            # Those have statements that count for all that is defined in them.
            if not movable or home.endswith((".yaml", ".formats", ".heads")):
                continue
            moved = movable[0]
            imports = [each for each in tree.body if isinstance(each, ast.Import | ast.ImportFrom)]
            others = {node.id for node in ast.walk(moved) if isinstance(node, ast.Name)}
            defined = {name for each in tree.body for name in bound_by(each)} & others - {moved.name}
            back = [ast.ImportFrom(module=home, names=[ast.alias(name=name)], level=0) for name in sorted(defined)]
            trees[f"{home}_moved"] = ast.Module(body=[*imports, *back, moved], type_ignores=[])
            here = ast.ImportFrom(module=f"{home}_moved", names=[ast.alias(name=moved.name)], level=0)
            tree.body[tree.body.index(moved)] = here

    unchanged(rewritten(tmp_path, rewrite), original)


def bound_by(statement):
    targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
    named = [getattr(statement, "name", None), *(each.id for each in targets if isinstance(each, ast.Name))]
    return [name for name in named if name]


def test_reordering_the_functions_of_every_module(tmp_path, original):
    def rewrite(trees):
        for tree in trees.values():
            functions = own_functions(tree)
            tree.body = [each for each in tree.body if each not in functions] + functions[::-1]

    unchanged(rewritten(tmp_path, rewrite), original)


def test_rewording_every_error_and_what_is_logged(tmp_path, original):
    def reworded(call, everything):
        def text(value):
            return (
                ast.Constant("reworded")
                if everything or isinstance(value, ast.JoinedStr) or isinstance(getattr(value, "value", None), str)
                else value
            )

        call.args = [text(each) for each in call.args]
        for keyword in call.keywords:
            keyword.value = text(keyword.value)

    def rewrite(trees):
        for tree in trees.values():
            for node in ast.walk(tree):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "UserError":
                    reworded(node, everything=True)
                elif isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
                    reworded(
                        node.exc, everything=ast.unparse(node.exc.func) in ("ValueError", "KeyError", "RuntimeError")
                    )
                elif isinstance(node, ast.Expr) and re.match(r"(self\.)?context\.(log|progress)\(", ast.unparse(node)):
                    reworded(node.value, everything=False)

    unchanged(rewritten(tmp_path, rewrite), original)


def test_the_advice_of_an_error_is_not_reached(original):
    reached = [function for function, names in original.items() if "xtreme_dag.core.errors.nearest" in names]
    assert not reached
