"""The local Prefect server: a child process in the home, shared by runs, ended when the last of them is done.

Prefect itself is not imported here. A keeper process starts the server and watches a lock that every run holds in
shared mode; when nobody holds it any more, however the holders ended, the keeper stops the server. The server in turn
ends when its keeper does: it watches a pipe from it.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
import tomllib
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from xtreme_dag.core.beside import command_of, python_path
from xtreme_dag.core.errors import UserError
from xtreme_dag.core.files import write_atomically
from xtreme_dag.core.home import Home
from xtreme_dag.core.locks import locked

# A user's first start runs the migrations: 18 s on two idle cores (facts of the stack), several times that on busy ones.
_START_SECONDS = 180.0
_RECORD_SECONDS = 15.0
_IDLE_SECONDS = 5.0

QUIET: Mapping[str, str] = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_TELEMETRY_ENABLE_RESOURCE_METRICS": "false",
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    "PREFECT_CLI_PROMPT": "false",
    "DO_NOT_TRACK": "1",
    "GX_ANALYTICS_ENABLED": "false",
    "HF_HUB_DISABLE_TELEMETRY": "1",
}

# By default Prefect writes each task run's state to its database in a transaction of its own, and a study has thousands.
# The flush interval is cut to whole seconds there: half a second would be none, and an idle server would spin.
_BATCHES: Mapping[str, str] = {
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_READ_BATCH_SIZE": "200",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "200",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_READ_BATCH_SIZE": "200",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_BATCH_SIZE": "200",
    "PREFECT_SERVER_SERVICES_TRIGGERS_READ_BATCH_SIZE": "200",
}


def configured_api() -> str:
    """The Prefect API that the user has configured (environment, else the active profile); empty if none."""
    if url := os.environ.get("PREFECT_API_URL"):
        return url
    folder = Path(os.environ.get("PREFECT_HOME") or Path.home() / ".prefect")
    try:
        profiles = tomllib.loads((folder / "profiles.toml").read_text())
        active = os.environ.get("PREFECT_PROFILE") or profiles.get("active", "")
        return str(profiles.get("profiles", {}).get(active, {}).get("PREFECT_API_URL", ""))
    except (OSError, tomllib.TOMLDecodeError, AttributeError):
        return ""


@contextmanager
def server(home: Home, say: Callable[[str], None]) -> Iterator[str]:
    """The API's URL: the configured server's, else that of a local one that is started if none runs yet.

    Raises:
        UserError: the local server does not start.
    """
    with starting(home, say) as (url, answers):
        answers()
        yield url


@contextmanager
def starting(home: Home, say: Callable[[str], None]) -> Iterator[tuple[str, Callable[[], None]]]:
    """As `server`, but at once: the API's URL, and what returns when it answers and raises what `server` does.

    Whoever is to ask the server can be started in the meantime.
    """
    if url := configured_api():
        yield url, lambda: None
        return
    home.prefect.mkdir(parents=True, exist_ok=True)
    with _users_lock(home).open("a") as users, ExitStack() as until_it_answers:
        # Another run that comes meanwhile waits, and does not start one of its own.
        until_it_answers.enter_context(locked(home.prefect / "server.start.lock", "starting the Prefect server"))
        fcntl.flock(users, fcntl.LOCK_SH)
        keeper = None
        if not (url := _running(home)):
            say("starting a local Prefect server (the first start takes longest)")
            end = time.monotonic() + _START_SECONDS
            url, keeper = _start(home, end)

        def answers() -> None:
            if keeper is not None:
                _wait(home, keeper, end)
            until_it_answers.close()

        yield url, answers


def wait_recorded(api: str, flow_run: str, tasks: int) -> int:
    """Waits until the server has recorded a flow run's task runs, or records no more; returns how many it has."""
    question = {
        "flow_runs": {"id": {"any_": [flow_run]}},
        "task_runs": {"state": {"type": {"any_": ["COMPLETED", "FAILED", "CRASHED", "CANCELLED"]}}},
    }
    count, end = 0, time.monotonic() + _RECORD_SECONDS
    while count < tasks and time.monotonic() < end:
        seen = int(_ask(f"{api}/task_runs/count", json.dumps(question)) or 0)
        if seen != count:
            count, end = seen, time.monotonic() + _RECORD_SECONDS
        if count < tasks:
            time.sleep(0.25)
    return count


def _users_lock(home: Home) -> Path:
    return home.prefect / "server.users.lock"


def _running(home: Home) -> str:
    """URL of the home's server if it answers, else empty."""
    url = str(_told(home).get("api", ""))
    return url if url and _ask(f"{url}/health") == "true" else ""


def _told(home: Home) -> dict[str, object]:
    """What the keeper has written of the home's server; empty if there is none."""
    try:
        told = json.loads((home.prefect / "server.json").read_text())
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def _start(home: Home, end: float) -> tuple[str, subprocess.Popen[bytes]]:
    """Starts the server and its keeper; the URL where it will answer, and the keeper."""
    (home.prefect / "server.json").unlink(missing_ok=True)  # that of a server which is gone
    # The keeper's own session: Ctrl-C for a run must not take the server away from other runs. Its own output: it lives
    # on for seconds, and whoever reads a run's output through a pipe would wait for its end.
    with _log(home).open("ab") as log:
        keeper = subprocess.Popen(
            [sys.executable, "-m", "xtreme_dag.program.server", str(home.root)],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    while time.monotonic() < end and keeper.poll() is None:
        if url := str(_told(home).get("api", "")):
            return url, keeper
        time.sleep(0.05)
    raise _not_started(home)


def _wait(home: Home, keeper: subprocess.Popen[bytes], end: float) -> None:
    """Waits until the server answers."""
    while time.monotonic() < end and keeper.poll() is None:
        if _running(home):
            return
        time.sleep(0.25)
    raise _not_started(home)


def _log(home: Home) -> Path:
    """What the server and its keeper say."""
    home.logs.mkdir(parents=True, exist_ok=True)
    return home.logs / "prefect-server.log"


def _not_started(home: Home) -> UserError:
    return UserError(
        "the local Prefect server did not start",
        where=str(_log(home)),
        fix="see the log, or name a running one with PREFECT_API_URL",
    )


def _ask(url: str, body: str | None = None) -> str:
    request = urllib.request.Request(
        url, data=body.encode() if body else None, headers={"content-type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return str(answer.read().decode())
    except OSError:
        return ""


def keep(home: Home) -> None:
    """The keeper: starts the server, and stops it once no run holds the users' lock for a while, or when told to end."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {**_BATCHES, **os.environ, **QUIET, "PREFECT_HOME": str(home.prefect), "PYTHONPATH": python_path()}
    environment.pop("PREFECT_API_URL", None)
    with _log(home).open("ab") as log:
        process = subprocess.Popen(
            command_of("flows._prefect_server", str(port)),
            stdin=subprocess.PIPE, stdout=log, stderr=log, env=environment,
        )  # fmt: skip
    told: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda which, _frame: told.append(which))
    write_atomically(
        home.prefect / "server.json", json.dumps({"api": f"http://127.0.0.1:{port}/api", "pid": process.pid})
    )
    free_since = None
    with _users_lock(home).open("a") as users:
        while process.poll() is None and not told:
            time.sleep(1.0)
            try:
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                fcntl.flock(users, fcntl.LOCK_UN)
                free_since = free_since or time.monotonic()
                if time.monotonic() - free_since > _IDLE_SECONDS:
                    break
            except BlockingIOError:
                free_since = None
        if _told(home).get("pid") == process.pid:  # the home may have been made anew, with another server
            (home.prefect / "server.json").unlink(missing_ok=True)
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


if __name__ == "__main__":
    keep(Home(Path(sys.argv[1])))
