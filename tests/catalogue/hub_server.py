"""A small hub on the loopback device: serves fixture repositories over the hub's HTTP protocol."""

from __future__ import annotations

import hashlib
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlparse


@dataclass
class Repository:
    """Files of one commit of a repository; `gated` needs the token; `others`: branch -> the repository at it."""

    commit: str
    files: dict[str, bytes]
    gated: bool = False
    others: dict[str, Repository] = field(default_factory=dict)

    def at(self, revision: str) -> Repository | None:
        """The repository at a branch or commit."""
        if revision in (self.commit, "main"):
            return self
        return next((one for name, one in self.others.items() if revision in (name, one.commit)), None)

    def refs(self) -> dict[str, Any]:
        """What the hub says of its branches."""
        made = [
            {"name": name.rpartition("/")[2], "ref": name, "targetCommit": one.commit}
            for name, one in self.others.items()
        ]
        return {
            "branches": [{"name": "main", "ref": "refs/heads/main", "targetCommit": self.commit}],
            "tags": [],
            "converts": [each for each in made if each["ref"].startswith("refs/convert/")],
            "pullRequests": [each for each in made if each["ref"].startswith("refs/pr/")],
        }


@dataclass
class HubServer:
    """Serves repositories of datasets and, in `models`, of models by `owner/name`; `failures` answers of 503 come first for each path."""

    repositories: dict[str, Repository]
    models: dict[str, Repository] = field(default_factory=dict)
    token: str = "secret-token"
    failures: int = 0
    requests: list[tuple[str, str, str]] = field(default_factory=list)
    _failed: dict[str, int] = field(default_factory=dict)

    def __enter__(self) -> HubServer:
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                hub._answer(self, body=True)

            def do_HEAD(self) -> None:
                hub._answer(self, body=False)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def _answer(self, handler: BaseHTTPRequestHandler, *, body: bool) -> None:
        parsed = urlparse(handler.path)
        path = unquote(parsed.path)
        given = handler.headers.get("authorization", "")
        self.requests.append((handler.command, path, given))
        if self._failed.get(path, 0) < self.failures:
            self._failed[path] = self._failed.get(path, 0) + 1
            return self._send(handler, 503, b"busy", {}, body)
        parts = path.strip("/").split("/")
        if parts[0] == "api" and parts[1:2] in (["datasets"], ["models"]):
            return self._api(handler, parts, parse_qs(parsed.query), given, body)
        of, rest = (self.repositories, parts[1:]) if parts[0] == "datasets" else (self.models, parts)
        if len(rest) > 4 and rest[2] == "resolve":
            revision, file = rest[3], "/".join(rest[4:])
            if rest[3] == "refs":  # a branch of three parts that the client did not quote
                revision, file = "/".join(rest[3:6]), "/".join(rest[6:])
            return self._file(handler, (of, "/".join(rest[:2])), revision, file, given, body)
        return self._send(handler, 404, b"", {}, body)

    def _api(self, handler, parts, query, given, body) -> None:
        name, kind, revision = "/".join(parts[2:4]), (parts[4:] or ["revision"])[0], "/".join(parts[5:]) or "main"
        of = self.repositories if parts[1] == "datasets" else self.models
        if kind == "tree":
            revision = parts[5]
        repository = self._repository(handler, (of, name), "main" if kind == "refs" else revision, given, body)
        if repository is None:
            return None
        if kind == "refs":
            return self._send(handler, 200, json.dumps(repository.refs()).encode(), {}, body)
        if kind == "tree":
            below = "/".join(parts[6:])
            entries = [
                {"type": "file", "path": file, "size": len(data), "oid": _oid(data)}
                for file, data in repository.files.items()
                if file.startswith(below)
            ]
            return self._send(handler, 200, json.dumps(entries).encode(), {}, body)
        info = {
            "id": name, "sha": repository.commit, "private": False, "gated": False, "disabled": False, "tags": [],
            "downloads": 0, "likes": 0, "siblings": [{"rfilename": file} for file in repository.files],
        }  # fmt: skip
        return self._send(handler, 200, json.dumps(info).encode(), {}, body)

    def _file(self, handler, name, revision, file, given, body) -> None:
        repository = self._repository(handler, name, revision, given, body)
        if repository is None:
            return None
        if file not in repository.files:
            return self._send(
                handler, 404, b"", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": repository.commit}, body
            )
        data = repository.files[file]
        headers = {"ETag": f'"{_oid(data)}"', "X-Repo-Commit": repository.commit, "Accept-Ranges": "bytes"}
        return self._send(handler, 200, data, headers, body)

    def _repository(self, handler, name, revision, given, body) -> Repository | None:
        of, called = name
        repository = of.get(called)
        if repository is None:
            self._send(handler, 401, b"", {"X-Error-Code": "RepoNotFound"}, body)
            return None
        found = repository.at(revision)
        if repository.gated and given != f"Bearer {self.token}":
            self._send(handler, 403, b"", {"X-Error-Code": "GatedRepo"}, body)
            return None
        if found is None:
            self._send(handler, 404, b"", {"X-Error-Code": "RevisionNotFound"}, body)
            return None
        return found

    def _send(self, handler: BaseHTTPRequestHandler, status: int, data: bytes, headers: dict[str, str], body: bool):
        handler.send_response(status)
        for name, value in {"Content-Length": str(len(data)), "Content-Type": "application/json", **headers}.items():
            handler.send_header(name, value)
        handler.end_headers()
        if body:
            handler.wfile.write(data)


def _oid(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
