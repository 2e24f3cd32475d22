"""Real servers on loopback for tests and benches: a Prefect server that can be stopped and started, and PostgreSQL."""

import getpass
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psutil

from xtreme_dag.core.beside import command_of, python_path
from xtreme_dag.program.server import QUIET

T = TypeVar("T")


def until(holds: Callable[[], T], seconds: float) -> T:
    """Waits until a function returns something that is true, and returns it."""
    end = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < end, f"waited {seconds} s for {holds}"
        time.sleep(0.2)
    return found


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listened_on(processes: Collection[int]) -> set[str]:
    """The addresses on which processes listen; the system's table is read once for all, which takes a while for each."""
    found = psutil.net_connections(kind="tcp")
    return {each.laddr.ip for each in found if each.pid in processes and each.status == psutil.CONN_LISTEN}


@cache
def client() -> httpx.Client:
    """The one client of a test process: each reads all certificates anew, which takes as long as a dozen requests.

    The disk of a shared machine may stand still for 20 s, and its servers with it. And a request of Prefect's waits for
    its database for 60 s before it goes on: one was seen to answer just after that.
    """
    return httpx.Client(timeout=120)


def request(method: str, address: str, **words: Any) -> httpx.Response:
    """A request to a Prefect server, repeated while it says that it is busy (503), as Prefect's own client does."""
    end = time.monotonic() + 120
    while (response := client().request(method, address, **words)).status_code == 503 and time.monotonic() < end:
        time.sleep(1)
    return response


get, post, patch, delete = (partial(request, method) for method in ("GET", "POST", "PATCH", "DELETE"))


class Server:
    """A Prefect server on a port of its own, to be stopped and started again."""

    def __init__(self, folder: Path, settings: Mapping[str, str] | None = None) -> None:
        self.folder, self.settings = folder, dict(settings or {})
        self.port = free_port()
        self.api = f"http://127.0.0.1:{self.port}/api"

    def start(self) -> None:
        environment = {**os.environ, **QUIET, **self.settings, "PREFECT_HOME": str(self.folder)}
        environment["PYTHONPATH"] = python_path()
        environment.pop("PREFECT_API_URL", None)
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                command_of("flows._prefect_server", str(self.port)),
                env=environment, stdin=subprocess.PIPE, stdout=log, stderr=log,
            )  # fmt: skip
        try:
            until(self.answers, 600)
        except AssertionError:
            self.stop()
            raise

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()

    def answers(self) -> bool:
        try:
            return client().get(f"{self.api}/health", timeout=5).text == "true"
        except httpx.HTTPError:
            return False


@contextmanager
def postgresql(password: str = "p@ss/w:rd") -> Iterator[dict[str, str]]:
    """A PostgreSQL cluster of its own, with a password; gives the settings of a Prefect server on it."""
    root = os.geteuid() == 0  # whom PostgreSQL does not serve
    user = "postgres" if root else getpass.getuser()
    folder = Path(tempfile.mkdtemp(prefix="xtreme-dag-postgresql-"))
    (folder / "password").write_text(password)
    if root:
        for path in (folder, folder / "password"):
            shutil.chown(path, user)
    port = free_port()

    def call(*command: str) -> None:
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=folder, user=user if root else None)

    call("initdb", "--pgdata", f"{folder}/data", "--auth", "scram-sha-256", "--username", "prefect",
         "--pwfile", f"{folder}/password", "--encoding", "UTF8")  # fmt: skip
    options = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories={folder}"
    call("pg_ctl", "start", "--pgdata", f"{folder}/data", "--log", f"{folder}/log", "--wait", "--options", options)
    try:
        yield {
            "PREFECT_SERVER_DATABASE_DRIVER": "postgresql+asyncpg",
            "PREFECT_SERVER_DATABASE_HOST": "127.0.0.1",
            "PREFECT_SERVER_DATABASE_PORT": str(port),
            "PREFECT_SERVER_DATABASE_USER": "prefect",
            "PREFECT_SERVER_DATABASE_NAME": "postgres",
            "PREFECT_SERVER_DATABASE_PASSWORD": password,
        }
    finally:
        call("pg_ctl", "stop", "--pgdata", f"{folder}/data", "--mode", "immediate", "--wait")
        shutil.rmtree(folder)
