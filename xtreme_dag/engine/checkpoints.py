"""Checkpoints in the mirror: a long stage whose machine is gone goes on elsewhere from where it was.

A stage says `{"event": "checkpoint", "folder": NAME}` after it has written a folder of its scratch folder, whole, that
it will not change any more. The folder is copied in the background, the newest alone: its files first, then a list of
them, signed as records are. Only machines of the same kind of device go on from it: others would end with other bytes.
"""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath
from queue import SimpleQueue
from typing import Any

from xtreme_dag.engine.digests import file_digest, list_files
from xtreme_dag.engine.mirror import Mirror
from xtreme_dag.engine.records import MAX_JSON_BYTES, checked_files
from xtreme_dag.engine.signatures import Refused, opened, signed

_FLUSH_SECONDS = 120.0  # for the last checkpoint of a stage that is told to leave


class Checkpoints:
    """The checkpoints of one stage.

    Args:
        mirror: where they go.
        key: of the stage.
        scratch: its scratch folder.
        device: what it computes on: `cpu`, `cuda:0`, ...
    """

    def __init__(self, mirror: Mirror, key: str, scratch: Path, device: str) -> None:
        self._mirror, self._key, self._scratch = mirror, key, scratch
        self._root = f"checkpoints/{key}"
        self._device = device.partition(":")[0]
        self._waiting: SimpleQueue[str | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._used = False

    def bring(self) -> str:
        """Brings the newest checkpoint of another machine, unless it is here; returns its name, empty if there is none."""
        entry = self._listed()
        if entry is None:
            return ""
        self._used = True
        folder, files = entry
        target = self._scratch / folder
        # A later one of our own is better; names of checkpoints sort as they were written.
        own = [path.name for path in target.parent.glob("*") if path.is_dir() and list_files(path)]
        if any(name >= target.name for name in own if name.split("-")[0] == target.name.split("-")[0]):
            return ""
        partial = self._scratch / ".bringing"

        def bring(name: str) -> bool:
            digest, size = files[name]
            path = partial / name
            return self._mirror.files.get(f"{self._root}/{folder}/{name}", path, size) and file_digest(path) == digest

        shutil.rmtree(partial, ignore_errors=True)
        try:
            if not all(self._mirror.files.each(bring, files)):
                return ""
            target.parent.mkdir(parents=True, exist_ok=True)
            partial.rename(target)
        except OSError:  # there is no room for it, or something else in its place: the stage starts anew
            return ""
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        return folder

    def _listed(self) -> tuple[str, dict[str, tuple[str, int]]] | None:
        """Folder and files of the newest checkpoint, if it is of our kind of device."""
        content = self._mirror.files.read(f"{self._root}.json", MAX_JSON_BYTES)
        try:
            entry = json.loads(opened(content or b""))
            folder = entry["folder"]
            plain = isinstance(folder, str) and folder == _plain(folder)
            ours = entry["key"] == self._key and entry["device"] == self._device
            return (folder, checked_files(entry["files"])) if plain and ours else None
        except (ValueError, TypeError, KeyError, RecursionError, Refused):
            return None

    def listen(self, event: Mapping[str, Any]) -> None:
        """Takes an event of the stage."""
        if event["event"] != "checkpoint" or not (folder := _plain(str(event.get("folder", "")))):
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._send_all, daemon=True)
            self._thread.start()
        self._waiting.put(folder)

    def _send_all(self) -> None:
        while (folder := self._waiting.get()) is not None:
            last = False
            while not self._waiting.empty():  # one that is newer makes the others needless
                newer = self._waiting.get()
                folder, last = newer or folder, newer is None
            with suppress(FileNotFoundError):  # the stage has replaced it meanwhile, and says so of the next one
                self._send(folder)
            if last:
                return

    def _send(self, folder: str) -> None:
        """Copies a checkpoint; the one before is removed once the new one is whole."""
        before = self._listed()
        found = list_files(self._scratch / folder)
        files = {name: (file_digest(path), path.stat().st_size) for name, path in found.items()}
        remote = self._mirror.files
        if not found or not all(
            remote.each(lambda name: remote.put(found[name], f"{self._root}/{folder}/{name}"), found)
        ):
            return
        entry = {
            "key": self._key,
            "folder": folder,
            "device": self._device,
            "files": {name: list(each) for name, each in files.items()},
        }
        if remote.write(f"{self._root}.json", signed(json.dumps(entry).encode())):
            self._used = True
            if before is not None and before[0] != folder:
                remote.remove(f"{self._root}/{before[0]}/{name}" for name in before[1])

    def close(self, *, forget: bool) -> None:
        """Waits for what is being copied; with `forget`, removes all: the stage is done."""
        if self._thread is not None:
            self._waiting.put(None)
            self._thread.join(_FLUSH_SECONDS)
        if forget and self._used:
            entry = self._listed()
            self._mirror.files.remove([f"{self._root}.json"])
            if entry is not None:
                self._mirror.files.remove(f"{self._root}/{entry[0]}/{name}" for name in entry[1])


def _plain(folder: str) -> str:
    """A folder's path inside of another one; empty if it may lead elsewhere."""
    path = PurePosixPath(folder)
    inside = (
        path.parts and not path.is_absolute() and ".." not in path.parts and folder.isprintable() and "\\" not in folder
    )
    return str(path) if inside else ""
