"""Files at an fsspec URL: many at once within bounds, again after a failure with longer and longer waits, resumed.

Nothing here knows what the files are. A place that stays away for longer than one has patience for is left alone from
then on: what it has then counts as missing, and `trouble` says why.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

from xtreme_dag.core.errors import UserError
from xtreme_dag.core.urls import without_password

T = TypeVar("T")
R = TypeVar("R")
# Transfers side by side: enough to hide the latency of a bucket, and few enough for its limits and our memory.
AT_ONCE = 16
_BLOCK_BYTES = 32 << 20  # the most that a broken download has to bring again
_FIRST_WAIT, _LONGEST_WAIT = 0.2, 20.0
# Buckets have no folders, and asked for one they would make a bucket of a mistyped name.
_BUCKETS = frozenset({"s3", "gs", "gcs", "abfs", "az", "oci", "oss"})
_BY_PREFIX = frozenset({"s3", "gs", "gcs", "abfs", "az"})  # those that list what begins with a digit
# Failures that waiting does not mend.
_FINAL = (PermissionError, FileExistsError, IsADirectoryError, NotADirectoryError, NotImplementedError)
_NO_KEYS = ("NoCredentials", "PartialCredentials", "ParamValidation", "InvalidRegion", "ProfileNotFound")


class Remote:
    """A folder elsewhere.

    Args:
        url: what fsspec can open: `s3://bucket/folder`, `gs://...`, `file:///shared/folder` or a path.
        patience: seconds for which a call that fails is made again before the place counts as gone.

    Attributes:
        trouble: why the place was left alone; empty as long as it was not.

    Raises:
        UserError: fsspec does not know the URL, or lacks the package for it.
    """

    def __init__(self, url: str, patience: float) -> None:
        import fsspec

        self.url = without_password(url)
        self.trouble = ""
        self._patience = patience
        self._down = False
        self._inside = threading.local()
        try:
            self._files, self._root = fsspec.core.url_to_fs(url, skip_instance_cache=True, use_listings_cache=False)
        except ImportError as error:
            raise UserError(str(error), where=f"mirror {self.url}", fix="for s3:// install xtreme-dag[s3]") from None
        except (ValueError, OSError) as error:  # some protocols connect at once
            raise UserError(str(error), where=f"mirror {self.url}") from None
        protocols = self._files.protocol
        self._protocol = protocols if isinstance(protocols, str) else protocols[0]

    @property
    def _has_folders(self) -> bool:
        return self._protocol not in _BUCKETS

    def each(self, work: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
        """`work` of every item, in order, so many side by side as is good; within another `each`, one by one."""
        waiting = list(items)
        if len(waiting) < 2 or getattr(self._inside, "each", False):
            return map(work, waiting)

        def marked(item: T) -> R:
            self._inside.each = True
            return work(item)

        with ThreadPoolExecutor(AT_ONCE) as threads:
            return iter(list(threads.map(marked, waiting)))

    def listing(self, folder: str, *, many: bool = False) -> dict[str, Mapping[str, Any]]:
        """Path below `folder` -> what the place says of it (`size`, `type`, when it was written), of all files in it.

        With `many`, whose names begin with a hexadecimal digit, several parts of the listing come at once.
        """
        base = f"{self._root}/{folder}"
        if many and self._protocol in _BY_PREFIX:
            # Pages come one after another, and each has a thousand names: sixteen rows of pages at a time.
            found: dict[str, Mapping[str, Any]] = {}
            for part in self.each(lambda digit: self._find(base, prefix=digit), "0123456789abcdef"):
                found |= part
        else:
            found = self._find(base)
        skipped = len(base) + 1
        return {path[skipped:]: entry for path, entry in found.items()}

    def _find(self, base: str, **more: str) -> dict[str, Mapping[str, Any]]:
        found: dict[str, Mapping[str, Any]] = self.call(lambda: self._files.find(base, detail=True, **more), missing={})
        return found

    def read(self, path: str, most: int) -> bytes | None:
        """The bytes of a file, or None: there is none, it is a link, or it has more than `most` bytes."""
        if self._has_folders and not is_plain(self.info(path) or {}, most):
            return None
        content: bytes | None = self.call(
            lambda: self._files.cat_file(f"{self._root}/{path}", start=0, end=most + 1), missing=None
        )
        return None if content is not None and len(content) > most else content

    def info(self, path: str) -> Mapping[str, Any] | None:
        """What the place says of a file, or None."""
        found: Mapping[str, Any] | None = self.call(lambda: self._files.info(f"{self._root}/{path}"), missing=None)
        return found

    def write(self, path: str, content: bytes, *, new: bool = False) -> bool:
        """Writes a small file in one piece; with `new` only if there is none. Whether it did."""

        def work() -> bool:
            target = f"{self._root}/{path}"
            if not self._has_folders:
                try:
                    self._files.pipe_file(target, content, mode="create" if new else "overwrite")
                except FileExistsError:
                    return False
                return True
            if new and self._files.exists(target):
                return False
            self._whole(target, lambda partial: self._files.pipe_file(partial, content))
            return True

        return bool(self.call(work, missing=False))

    def now(self) -> float:
        """The time by the place's own clock, in seconds since 1970, from a file that is written for it; by ours if it cannot be."""
        path = f"clock-{uuid4().hex}"
        try:
            told = written(self.info(path) or {}) if self.write(path, b"\n") else None
        finally:
            self.remove([path])
        return time.time() if told is None else told

    def put(self, source: Path, path: str) -> bool:
        """Copies a file there, such that nobody sees a part of it; whether it did."""

        def work() -> bool:
            target = f"{self._root}/{path}"
            if self._has_folders:
                self._whole(target, lambda partial: self._files.put_file(str(source), partial))
            else:
                self._files.put_file(str(source), target)
            return True

        return bool(self.call(work, missing=False))

    def _whole(self, target: str, write: Callable[[str], object]) -> None:
        """Writes beside a file and renames; a place without folders shows no parts anyway."""
        folder, _, name = target.rpartition("/")
        self._files.makedirs(folder, exist_ok=True)
        partial = f"{folder}/.{name}.{uuid4().hex}.tmp"
        try:
            write(partial)
            self._files.mv(partial, target)
        except BaseException:
            with suppress(Exception):
                self._files.rm_file(partial)
            raise

    def get(self, path: str, target: Path, size: int) -> bool:
        """Brings a file of `size` bytes, from where an earlier attempt was broken off; whether it is there now."""
        if self._has_folders:
            entry = self.info(path)
            if entry is None or not is_plain(entry, size) or entry["size"] != size:
                return False
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f".{target.name}.part")
        have = part.stat().st_size if part.is_file() else 0
        if have > size:
            part.unlink()
            have = 0
        with part.open("ab") as file:
            while have < size:
                if not (block := self._block(path, have, size)):
                    return False
                file.write(block)
                have += len(block)
        part.replace(target)
        return have == size

    def _block(self, path: str, start: int, size: int) -> bytes:
        """The next bytes of a file; none if it ends there or is missing."""
        end = min(size, start + _BLOCK_BYTES)
        found = self.call(lambda: self._files.cat_file(f"{self._root}/{path}", start=start, end=end), missing=None)
        return found or b""

    def digest(self, path: str, size: int) -> str:
        """sha256 of a file, read in blocks; empty if it is missing or has another size."""
        found, have = hashlib.sha256(), 0
        entry = self.info(path)
        if entry is None or not is_plain(entry, size) or entry["size"] != size:
            return ""
        while have < size:
            if not (block := self._block(path, have, size)):
                return ""
            found.update(block)
            have += len(block)
        return found.hexdigest()

    def remove(self, paths: Iterable[str]) -> int:
        """Removes files; those that are gone already count, too."""

        def work(path: str) -> bool:
            with suppress(FileNotFoundError):
                self._files.rm_file(f"{self._root}/{path}")
            return True

        return sum(bool(done) for done in self.each(lambda path: self.call(lambda: work(path), missing=False), paths))

    def call(self, work: Callable[[], Any], *, missing: Any) -> Any:
        """What `work` returns; `missing` where there is no such file, or the place cannot be reached.

        A failure is tried again for as long as there is patience. Then the place is left alone: nobody must wait for
        it at every stage.
        """
        end: float | None = None
        wait = _FIRST_WAIT
        while not self._down:
            try:
                return work()
            except FileNotFoundError:
                return missing
            except Exception as error:  # each protocol's client has errors of its own, and none may stop a run
                now = time.monotonic()
                end = now + self._patience if end is None else end
                final = isinstance(error, _FINAL) or type(error).__name__.startswith(_NO_KEYS)
                if final or now + wait > end:
                    self._down = True
                    self.trouble = f"{type(error).__name__}: {' '.join(str(error).split())}"
                    return missing
            time.sleep(wait)
            wait = min(2 * wait, _LONGEST_WAIT)
        return missing


def is_plain(entry: Mapping[str, Any], most: int) -> bool:
    """Whether what a listing says is a file of at most so many bytes, and no link."""
    size = entry.get("size")
    return entry.get("type") == "file" and not entry.get("islink") and isinstance(size, int) and size <= most


def stamp(entry: Mapping[str, Any]) -> list[Any]:
    """What changes when a file is written again, of what a listing says: JSON values."""
    moment = next((entry[name] for name in ("ETag", "etag", "md5Hash", "LastModified", "mtime") if entry.get(name)), "")
    return [entry.get("size"), moment if isinstance(moment, int | float) else str(moment)]


def written(entry: Mapping[str, Any]) -> float | None:
    """When a file was written, in seconds since 1970, if a listing says."""
    moment = next(
        (entry[name] for name in ("LastModified", "last_modified", "updated", "mtime") if entry.get(name)), None
    )
    if isinstance(moment, int | float):
        return float(moment)
    return moment.timestamp() if isinstance(moment, datetime) else None
