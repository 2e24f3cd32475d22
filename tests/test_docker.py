"""The container files against the code they carry: no engine runs here, so what can be read is read."""

import re
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

import pytest
import yaml
from compose_spec import PyOptions

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
    extras = set(re.search(r"ARG EXTRAS=(.+)", text)[1].split(","))
    assert extras <= set(project["project"]["optional-dependencies"])
    ignored = (repository / ".dockerignore").read_text().split()
    assert not {name for name in copied if name in ignored} and ".git" in ignored
    assert all(f"{name}={value}" in text for name, value in QUIET.items() if name in ("DO_NOT_TRACK",))
    assert text.count("\nUSER 1000\n") == 2 and "--uid 1000 researcher" in text


def test_the_server_records_in_batches_on_postgresql(compose):
    server = compose["services"]["server"]
    assert {name: value for name, value in server["environment"].items() if name in _BATCHES} == dict(_BATCHES)
    assert server["environment"]["PREFECT_SERVER_DATABASE_DRIVER"] == "postgresql+asyncpg"
    assert server["depends_on"]["database"]["condition"] == "service_healthy"
    assert all(port.startswith("127.0.0.1:") for port in server["ports"])


def test_the_worker_serves_the_pool_that_deploy_fills(compose, repository):
    from xtreme_dag.program.commands.deploy import command

    pool = next(option.default for option in command.params if option.name == "pool")
    worker = compose["services"]["worker"]
    assert worker["command"][worker["command"].index("--pool") + 1] == pool and "deploy" in COMMANDS
    folders = {volume.split(":")[-2 if volume.endswith(":ro") else -1] for volume in worker["volumes"]}
    assert folders == {"/srv/xtreme-dag/home", "/srv/xtreme-dag/models", "/srv/xtreme-dag/studies", "/srv/shared/data"}
    gpu = yaml.safe_load((repository / "docker" / "compose.gpu.yaml").read_text())
    assert set(gpu["services"]) == {"worker"}


def test_a_password_may_hold_what_a_url_may_not(compose, monkeypatch):
    from prefect.settings.models.root import Settings
    from sqlalchemy import make_url

    for name, value in compose["services"]["server"]["environment"].items():
        if "DATABASE" in name:
            monkeypatch.setenv(name, value.replace("${POSTGRES_PASSWORD}", "p@ss/w:rd"))
    database = Settings().server.database
    url = make_url(database.connection_url.get_secret_value())
    assert (url.host, url.username, url.database, url.password) == ("database", "prefect", "prefect", "p@ss/w:rd")


def test_every_variable_is_in_the_example(repository, compose):
    text = (repository / "docker" / "compose.yaml").read_text()
    asked = set(re.findall(r"\$\{(\w+)", text)) - {"COMMIT"}
    asked |= {name for name, value in compose["services"]["worker"]["environment"].items() if value is None}
    offered = set(re.findall(r"^#?(\w+)=", (repository / "docker" / "example.env").read_text(), re.M))
    assert asked == offered


def test_every_service_is_confined_and_ends_in_order(compose):
    for name, service in compose["services"].items():
        assert service["cap_drop"] == ["ALL"] and service["init"] and service["healthcheck"], name
        assert service["logging"]["options"]["max-size"], name
    worker = compose["services"]["worker"]
    assert worker["shm_size"] and worker["stop_grace_period"] == "3m" and "--with-healthcheck" in worker["command"]
    targets = {name: service["build"]["target"] for name, service in compose["services"].items() if "build" in service}
    assert targets == {"server": "server", "worker": "worker"}


def test_the_server_s_image_has_no_torch_and_code_comes_after_libraries(repository):
    text = (repository / "docker" / "Dockerfile").read_text()
    server, worker = text.split(" AS server")[1].split(" AS worker")
    assert "TORCH" not in server and "xtreme_dag" not in server
    assert worker.index("requirements.txt") < worker.index("COPY xtreme_dag")


def filled(text, **values):
    """A compose file with its variables filled in, as an engine does before it reads it."""
    plain = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")
    return plain.sub(lambda found: values.get(found[1]) or (found[3] if found[2] == "-" else ""), text)


@pytest.mark.parametrize("name", ["compose.yaml", "compose.gpu.yaml"])
def test_compose_files_hold_to_the_specification(repository, name):
    text = filled((repository / "docker" / name).read_text(), POSTGRES_PASSWORD="p@ss/w:rd")

    def read(text):
        options = PyOptions()
        options.apply_merge = True
        parsed = options.from_yaml(text)
        parsed.validate()
        return parsed

    services = yaml.safe_load(text)["services"]
    assert set(read(text).service_names()) == set(services)
    for key, value in (("stop_graceperiod", "3m"), ("shm_size", "much"), ("ports", [{"target": "x"}])):
        services["worker"][key] = value
        with pytest.raises(ValueError):
            read(yaml.safe_dump({"services": services}))
        del services["worker"][key]


def test_hadolint_finds_nothing(repository):
    program = Path(sysconfig.get_path("scripts")) / "hadolint"
    done = subprocess.run([program, repository / "docker" / "Dockerfile"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_requirements_of_the_image_are_those_of_the_project(repository):
    """The line of the Dockerfile that reads them, run here."""
    text = (repository / "docker" / "Dockerfile").read_text()
    program = re.search(r'RUN python -c "(.+)" "\$\{EXTRAS\}"', text)[1]
    done = subprocess.run(
        [sys.executable, "-c", program, "s3,faiss"], cwd=repository, capture_output=True, text=True, check=True
    )
    project = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
    more = project["optional-dependencies"]
    assert done.stdout.split("\n")[:-1] == [*project["dependencies"], *more["s3"], *more["faiss"]]
