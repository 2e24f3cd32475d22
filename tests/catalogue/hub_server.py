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
    """Files of one commit of a dataset repository; `gated` needs the token."""

    commit: str
    files: dict[str, bytes]
    gated: bool = False


@dataclass
class HubServer:
    """Serves repositories by `owner/name`; `failures` answers of 503 come first for each path."""

    repositories: dict[str, Repository]
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
        if parts[:2] == ["api", "datasets"]:
            return self._api(handler, parts, parse_qs(parsed.query), given, body)
        if parts[0] == "datasets" and len(parts) > 5 and parts[3] == "resolve":
            return self._file(handler, "/".join(parts[1:3]), parts[4], "/".join(parts[5:]), given, body)
        return self._send(handler, 404, b"", {}, body)

    def _api(self, handler, parts, query, given, body) -> None:
        name, kind, revision = "/".join(parts[2:4]), (parts[4:] or ["revision"])[0], (parts[5:] or ["main"])[0]
        repository = self._repository(handler, name, revision, given, body)
        if repository is None:
            return None
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
        repository = self.repositories.get(name)
        if repository is None:
            self._send(handler, 401, b"", {"X-Error-Code": "RepoNotFound"}, body)
            return None
        if repository.gated and given != f"Bearer {self.token}":
            self._send(handler, 403, b"", {"X-Error-Code": "GatedRepo"}, body)
            return None
        if revision not in (repository.commit, "main"):
            self._send(handler, 404, b"", {"X-Error-Code": "RevisionNotFound"}, body)
            return None
        return repository

    def _send(self, handler: BaseHTTPRequestHandler, status: int, data: bytes, headers: dict[str, str], body: bool):
        handler.send_response(status)
        for name, value in {"Content-Length": str(len(data)), "Content-Type": "application/json", **headers}.items():
            handler.send_header(name, value)
        handler.end_headers()
        if body:
            handler.wfile.write(data)


def _oid(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
