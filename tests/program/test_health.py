"""What is said of a Prefect server: one that is well, one that is not there, one whose scheduler is dead."""

import json
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from xtreme_dag.core.errors import UserError
from xtreme_dag.program.health import server_health


@pytest.fixture
def serve():
    """Starts a server that answers each path with a value; gives its URL."""
    servers = []

    def start(answers):
        class Handler(BaseHTTPRequestHandler):
            def answer(self):
                content = json.dumps(answers[self.path]).encode()
                self.rfile.read(int(self.headers.get("content-length") or 0))
                self.send_response(200)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = answer

            def log_message(self, *_arguments):
                """Says nothing."""

        servers.append(HTTPServer(("127.0.0.1", 0), Handler))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def deployments(minutes, active=True):
    changed = (datetime.now(UTC) - timedelta(minutes=minutes)).isoformat()
    return [{"id": "1", "name": "nightly", "schedules": [{"active": active, "updated": changed}]}]


def answers(count, found):
    return {"/admin/version": "3.8.8", "/flow_runs/count": count, "/deployments/filter": found}


def test_a_scheduler_that_makes_no_runs_is_dead(serve):
    with pytest.raises(UserError, match="makes no runs: nightly should have some"):
        server_health(serve(answers(0, deployments(minutes=5))))


def test_a_schedule_that_is_new_or_off_needs_no_runs(serve):
    for found in (deployments(minutes=0), deployments(minutes=5, active=False), []):
        assert server_health(serve(answers(0, found))).endswith("no run is late")


def test_late_runs_are_counted(serve):
    assert "3 runs are late" in server_health(serve(answers(3, deployments(minutes=5))))


def test_a_server_that_does_not_answer():
    with pytest.raises(UserError, match="does not answer"):
        server_health("http://127.0.0.1:9/api")


@pytest.mark.xdist_group("prefect")
def test_a_real_server(prefect_api):
    assert server_health(prefect_api).startswith(f"{prefect_api}, version 3.8.8")
