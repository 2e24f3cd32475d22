"""The container files against the code they carry: no engine runs here, so what can be read is read."""

import re
import tomllib

import pytest
import yaml

from xtreme_dag.program.cli import COMMANDS
from xtreme_dag.program.server import _BATCHES, QUIET


@pytest.fixture(scope="module")
def compose(repository):
    return yaml.safe_load((repository / "docker" / "compose.yaml").read_text())


def test_the_image_holds_every_package_and_the_pinned_torch(repository):
    text = (repository / "docker" / "Dockerfile").read_text()
    copied = {name for line in re.findall(r"^COPY (.+) \S+$", text, re.M) for name in line.split()}
    project = tomllib.loads((repository / "pyproject.toml").read_text())
    packages = {name.rstrip("*") for name in project["tool"]["setuptools"]["packages"]["find"]["include"]}
    assert packages <= copied and all((repository / name).exists() for name in copied)
    assert re.search(r"^torch==2\.13\.0$", (repository / "constraints.txt").read_text(), re.M)
    assert "TORCH=torch==2.13.0" in text
    extras = set(re.search(r'"\.\[(.+)\]"', text)[1].split(","))
    assert extras <= set(project["project"]["optional-dependencies"])
    ignored = (repository / ".dockerignore").read_text().split()
    assert not {name for name in copied if name in ignored} and ".git" in ignored
    assert all(f"{name}={value}" in text for name, value in QUIET.items() if name in ("DO_NOT_TRACK",))
    assert "\nUSER researcher\n" in text


def test_the_server_records_in_batches_on_postgresql(compose):
    server = compose["services"]["server"]
    assert {name: value for name, value in server["environment"].items() if name in _BATCHES} == dict(_BATCHES)
    assert server["environment"]["PREFECT_API_DATABASE_CONNECTION_URL"].startswith("postgresql+asyncpg://")
    assert server["depends_on"]["database"]["condition"] == "service_healthy"
    assert all(port.startswith("127.0.0.1:") for port in server["ports"])


def test_the_worker_serves_the_pool_that_deploy_fills(compose, repository):
    from xtreme_dag.program.commands.deploy import command

    pool = next(option.default for option in command.params if option.name == "pool")
    worker = compose["services"]["worker"]
    assert worker["command"][worker["command"].index("--pool") + 1] == pool and "deploy" in COMMANDS
    assert worker["image"] == compose["services"]["server"]["image"]
    folders = {volume.split(":")[-2 if volume.endswith(":ro") else -1] for volume in worker["volumes"]}
    assert folders == {"/srv/xtreme-dag/home", "/srv/xtreme-dag/studies", "/srv/shared/data"}
    gpu = yaml.safe_load((repository / "docker" / "compose.gpu.yaml").read_text())
    assert set(gpu["services"]) == {"worker"}


def test_every_variable_is_in_the_example(repository):
    text = (repository / "docker" / "compose.yaml").read_text()
    asked = set(re.findall(r"\$\{(\w+)", text)) - {"COMMIT"}
    offered = set(re.findall(r"^(\w+)=", (repository / "docker" / "example.env").read_text(), re.M))
    assert asked == offered
