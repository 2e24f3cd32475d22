"""Prefect's cache, made of our store: our key is the cache key, our record is the proof that the result exists.

Leans on contracts of Prefect 3.8.8 that are only half public (`key_storage` as an unsaved block, the `_sync` argument
of its methods, the fields of the result record's metadata); Prefect is pinned and tests/tasks/test_cache.py checks them.
"""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

from prefect import get_run_logger
from prefect._internal.result_records import ResultRecordMetadata
from prefect.context import TaskRunContext
from prefect.filesystems import LocalFileSystem
from prefect.locking.protocol import LockManager
from prefect.serializers import JSONSerializer

from xtreme_dag.core.files import write_atomically
from xtreme_dag.core.locks import holder_of, try_lock, unlock, wait_for
from xtreme_dag.engine.gates import why_closed
from xtreme_dag.engine.store import Record, Store

_KEY_LENGTH = 64  # hexadecimal digits of a sha256


def reference(record: Record) -> dict[str, str]:
    """What Prefect persists as a stage's result: a typed reference, never the data."""
    return {"type": "artifact", "key": record.key, "digest": record.digest}


class StoreKeys(LocalFileSystem):
    """Prefect's key storage: a key exists while our store holds its artifact in full.

    Reading a key whose artifact is gone or damaged raises, which Prefect takes for a miss: the stage runs again.
    """

    _block_type_name = "xtreme-dag store keys"
    store: str
    results: str
    gate: bool = False

    # The declared types are those of the asynchronous form; Prefect calls this one with `_sync` and takes its bytes.
    def read_path(self, path: str, _sync: bool = True) -> bytes:  # type: ignore[override]
        """Prefect's record metadata for a key, made from our store.

        Raises:
            ValueError: there is no intact artifact for the key.
        """
        key = Path(path).name
        record = Store(Path(self.store)).intact(key)
        if record is None:
            raise ValueError(f"no artifact for key {key}")
        if self.gate and why_closed(Store(Path(self.store)).artifact(record.digest)):
            raise ValueError(f"the verdict under key {key} is negative: the task must say so again")
        result = Path(self.results) / key
        content = json.dumps(reference(record))
        # The digest behind a key changes when the stage was forced to run and wrote other bytes.
        if not result.exists() or result.read_text() != content:
            write_atomically(result, content)
        metadata = ResultRecordMetadata(storage_key=str(result), serializer=JSONSerializer())
        return metadata.dump_bytes()

    async def aread_path(self, path: str) -> bytes:
        """Asynchronous form of `read_path`."""
        return self.read_path(path)

    def write_path(self, path: str, content: bytes, _sync: bool = True) -> str:  # type: ignore[override]
        """Prefect commits a key after the stage returned: the store must hold it by then.

        Raises:
            ValueError: it does not.
        """
        key = Path(path).name
        # A failed task run's exception is written under a random id; it is none of our keys.
        if len(key) == _KEY_LENGTH and Store(Path(self.store)).standing(key) is None:
            raise ValueError(f"key {key} was committed to Prefect but is not in the store")
        return path

    async def awrite_path(self, path: str, content: bytes) -> str:
        """Asynchronous form of `write_path`."""
        return self.write_path(path, content)


def _say_waiting(path: Path) -> None:
    """Tells the current task run who holds the lock of its key."""
    if TaskRunContext.get() is not None:
        get_run_logger().info("waiting for %s, which makes the same", holder_of(path))


class FlockManager(LockManager):
    """Prefect's lock per key on `flock`, freed by the operating system when its holder dies."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held: dict[str, tuple[str, int]] = {}
        self._guard = threading.Lock()

    def __deepcopy__(self, memo: dict[int, Any]) -> FlockManager:
        return self

    def _path(self, key: str) -> Path:
        return self._folder / f"{key}.prefect.lock"

    def acquire_lock(
        self, key: str, holder: str, acquire_timeout: float | None = None, hold_timeout: float | None = None
    ) -> bool:
        """Takes the lock of a key, waiting up to `acquire_timeout` seconds (None: without limit)."""
        if self.is_lock_holder(key, holder):
            return True
        path = self._path(key)
        handle = wait_for(lambda: try_lock(path, holder), lambda: _say_waiting(path), seconds=acquire_timeout)
        if handle is None:
            return False
        with self._guard:
            self._held[key] = (holder, handle)
        return True

    async def aacquire_lock(
        self, key: str, holder: str, acquire_timeout: float | None = None, hold_timeout: float | None = None
    ) -> bool:
        """Asynchronous form of `acquire_lock`."""
        return self.acquire_lock(key, holder, acquire_timeout, hold_timeout)

    def release_lock(self, key: str, holder: str) -> None:
        """Frees the lock of a key.

        Raises:
            ValueError: the holder does not hold it.
        """
        with self._guard:
            if self._held.get(key, ("", 0))[0] != holder:
                raise ValueError(f"{holder} does not hold the lock of {key}")
            unlock(self._held.pop(key)[1])

    def is_locked(self, key: str) -> bool:
        """Whether anybody holds the lock of a key."""
        with self._guard:
            if key in self._held:
                return True
        handle = try_lock(self._path(key), "probe")
        if handle is None:
            return True
        unlock(handle)
        return False

    def is_lock_holder(self, key: str, holder: str) -> bool:
        """Whether this holder has the lock of a key."""
        with self._guard:
            return self._held.get(key, ("", 0))[0] == holder

    def wait_for_lock(self, key: str, timeout: float | None = None) -> bool:
        """Waits until nobody holds the lock of a key; False when `timeout` seconds passed before."""
        return wait_for(lambda: None if self.is_locked(key) else True, seconds=timeout) is not None

    async def await_for_lock(self, key: str, timeout: float | None = None) -> bool:
        """Asynchronous form of `wait_for_lock`."""
        return self.wait_for_lock(key, timeout)
