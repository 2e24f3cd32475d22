"""What a wheel holds, and what runs before a commit."""

import re
import tomllib
import zipfile

import pytest
import yaml

import xtreme_dag

pytestmark = pytest.mark.xdist_group("prefect")  # they share the wheel with tests/test_installed.py


@pytest.fixture(scope="module")
def wheel(wheel_file):
    with zipfile.ZipFile(wheel_file) as archive:
        yield archive


def test_every_file_of_the_packages_is_in_the_wheel(repository, wheel):
    names = set(wheel.namelist())
    files = {
        ("" if package == "xtreme_dag" else "xtreme_dag/beside/") + path.relative_to(repository).as_posix()
        for package in ("xtreme_dag", "tasks", "flows", "studies", "data_contracts")
        for path in (repository / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".md"
    }
    assert not files - names
    # Nothing of a name that somebody else's module may have.
    tops = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    assert tops == {"xtreme_dag", "xtreme_dag_beside.pth"}
    assert {path.rpartition(".")[2] for path in files} >= {"py", "typed", "yaml", "sql", "csv", "html", "css", "js"}


def test_the_wheel_has_its_licence_and_version(wheel):
    (licence,) = [name for name in wheel.namelist() if name.endswith("/LICENSE")]
    assert "Apache License" in wheel.read(licence).decode()
    (metadata,) = [name for name in wheel.namelist() if name.endswith("/METADATA")]
    text = wheel.read(metadata).decode()
    assert f"\nVersion: {xtreme_dag.__version__}\n" in text and "\nLicense-Expression: Apache-2.0\n" in text


def test_hooks_are_local_and_run_what_make_check_runs(repository):
    (repo,) = yaml.safe_load((repository / ".pre-commit-config.yaml").read_text())["repos"]
    entries = {hook["entry"].split(" --")[0].removeprefix(".venv/bin/") for hook in repo["hooks"]}
    assert repo["repo"] == "local" and entries == {"ruff check", "ruff format", "mypy"}
    makefile = (repository / "Makefile").read_text()
    assert all(f"$(BIN)/{entry}" in makefile for entry in entries)


def test_every_dependency_has_its_reason(repository):
    project = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
    told = (repository / "docs" / "dependencies.md").read_text().lower()
    names = {re.match(r"[\w-]+", one)[0] for one in project["dependencies"]}
    assert not {name for name in names if name not in told}
