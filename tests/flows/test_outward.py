"""What a whole run shows to the outside: whom it listens to, whom it asks, and where secrets of its environment go."""

import json
import os
import subprocess
import sys
import threading

import psutil
import pytest
import yaml

from tests import servers
from tests.flows import tiny_study

SECRETS = {
    "XTREME_DAG_MIRROR_SECRET": "planted-secret-of-the-mirror",
    "HF_TOKEN": "planted-token-of-the-hub",
    "AWS_SECRET_ACCESS_KEY": "planted-key-of-the-bucket",
    "XTREME_DAG_MIRROR": "http://ann:planted-password@127.0.0.1:1/mirror",
}
# Every Python process of the run writes down what it connects to, binds and looks up, before it happens.
WATCH = """
import os, sys
_seen = os.environ["SEEN"]
def _watch(event, arguments):
    if event in ("socket.connect", "socket.bind", "socket.getaddrinfo"):
        place = arguments[1] if event != "socket.getaddrinfo" else arguments[0]
        with open(_seen, "a") as file:
            file.write(f"{event} {place[0] if isinstance(place, tuple) else place}\\n")
sys.addaudithook(_watch)
"""


@pytest.fixture(scope="module")
def outward(tmp_path_factory, repository):
    """A run with its own server: addresses listened on, addresses asked for, its home, and what it said."""
    folder = tmp_path_factory.mktemp("outward")
    (folder / "study.yaml").write_text(yaml.safe_dump({**tiny_study.CHECKED, "study": "outward"}))
    (folder / "code").mkdir()
    (folder / "code" / "sitecustomize.py").write_text(WATCH)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    environment |= {**SECRETS, "AWS_ACCESS_KEY_ID": "ann", "SEEN": str(folder / "seen"), "PREFECT_HOME": str(folder)}
    environment |= {"PYTHONPATH": os.pathsep.join([str(folder / "code"), str(repository)])}
    run = psutil.Popen(
        [sys.executable, "-m", "xtreme_dag", "run", "study.yaml", "--home", "home", "--workers", "1"],
        cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    listened: set[str] = set()
    over = threading.Event()

    def look():
        while not over.wait(0.3):
            family = {
                process.pid
                for process in psutil.process_iter(["environ"])  # the server leaves the family of the run
                if (process.info["environ"] or {}).get("SEEN") == environment["SEEN"]
            }
            listened.update(servers.listened_on(family))

    watching = threading.Thread(target=look)
    watching.start()
    said = run.communicate(timeout=280)[0]
    over.set()
    watching.join()
    assert run.returncode == 0, said
    seen = {tuple(line.split(" ", 1)) for line in (folder / "seen").read_text().splitlines()}
    return listened, seen, folder / "home", said


def test_it_listens_on_loopback_alone(outward):
    listened, seen, _, _ = outward
    assert listened == {"127.0.0.1"}, "its server listens, and nobody else elsewhere"
    assert {place for event, place in seen if event == "socket.bind"} <= {"127.0.0.1", "::1"}


def test_it_asks_nobody_but_its_server_and_its_mirror(outward):
    _, seen, _home, said = outward
    asked = {place for event, place in seen if event in ("socket.connect", "socket.getaddrinfo")}
    here = {"127.0.0.1", "localhost", "None"}
    assert "127.0.0.1" in asked and {place for place in asked if not place.startswith(("/", "b'"))} <= here
    assert "warning: mirror http://ann@127.0.0.1:1/mirror" in said, "and says that the mirror is away"


def test_no_secret_is_kept(outward):
    _, _, home, said = outward
    planted = [value for value in SECRETS.values() if "://" not in value] + ["planted-password"]
    files = [path for path in home.rglob("*") if path.is_file()]
    assert any(path.suffix == ".db" for path in files) and any(path.parent.name == "logs" for path in files)
    kept = {path.name for path in files for value in planted if value.encode() in path.read_bytes()}
    assert not kept and not any(value in said for value in planted)
    assert json.loads((home / "ledger.jsonl").read_text().splitlines()[0])["stage"]
