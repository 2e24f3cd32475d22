"""Devices as a limited resource: one running stage each, across all processes of this machine."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from xtreme_dag.core.errors import UserError
from xtreme_dag.core.locks import holder_of, try_lock, unlock, wait_for

_LOCKS = "/tmp/xtreme-dag"


def find_devices(wanted: str) -> tuple[str, ...]:
    """Names of the devices to use.

    Args:
        wanted: `auto` (all visible GPUs, else the CPU), `cpu`, `cuda` (all of them), or `cuda:1`.

    Raises:
        UserError: CUDA is asked for and there is no GPU, or the name is not one of these.
    """
    if wanted == "cpu":
        return ("cpu",)
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    present = sorted(Path("/dev").glob("nvidia[0-9]*"))
    count = len(present) if visible is None else len([part for part in visible.split(",") if part.strip()])
    gpus = tuple(f"cuda:{index}" for index in range(min(count, len(present))))
    if wanted == "auto":
        return gpus or ("cpu",)
    if wanted == "cuda" and gpus:
        return gpus
    if wanted in gpus:
        return (wanted,)
    have = ", ".join(gpus) or "no GPU"
    raise UserError(
        f"no device {wanted!r}", where="--device", fix=f"this machine has {have}; valid: auto, cpu, cuda, cuda:N"
    )


def lock_folder() -> Path:
    """The folder of the locks of this machine's devices, one for all homes of a user.

    On the machine's own disk: in a home on NFS, `cuda:0` of one machine would stand for that of all. At a fixed place:
    TMPDIR and the like differ between a login and a service, and two of them would not see each other.

    Raises:
        UserError: somebody else's folder or a link is there.
    """
    folder = Path(f"{_LOCKS}-{os.getuid()}")
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise UserError(
            "is not a folder of yours", where=str(folder), fix="the locks of the devices need it: remove it"
        )
    return folder


class Devices:
    """Leases devices by `flock`, so that a dead holder frees its own; the CPU is not limited here.

    Args:
        names: of the devices.
        locks: folder of their locks; `lock_folder()` if not given.

    Attributes:
        count: how many there are; 0 for the CPU.
    """

    def __init__(self, names: tuple[str, ...], locks: Path | None = None) -> None:
        self._names = names
        self._locks = locks
        self.count = 0 if names == ("cpu",) else len(names)

    @contextmanager
    def lease(self, count: int, holder: str, waiting: Callable[[str], None]) -> Iterator[str]:
        """Devices for a stage, held until the block ends; their names with commas between.

        Args:
            count: how many it needs; 0 if it computes on none. All or none are taken, so two stages cannot wait for
                each other.
            holder: who asks, for those that wait.
            waiting: told once who holds the devices, if they are not free.

        Raises:
            UserError: there are fewer.
        """
        if count == 0 or self.count == 0:
            yield "cpu"
            return
        if count > len(self._names):
            raise UserError(
                f"asks for {count} devices and there are {len(self._names)}: {', '.join(self._names)}",
                where=holder,
                fix="lower the number of devices in its parameters",
            )
        held = wait_for(lambda: self._take(holder, count), lambda: waiting(holder_of(self._lock(self._names[0]))))
        assert held is not None
        try:
            yield ",".join(held)
        finally:
            for handle in held.values():
                unlock(handle)

    def _take(self, holder: str, count: int) -> dict[str, int] | None:
        """Name -> lock handle of that many free devices, or None, and then nothing is held."""
        held: dict[str, int] = {}
        for name in self._names:
            handle = try_lock(self._lock(name), holder)
            if handle is not None:
                held[name] = handle
            if len(held) == count:
                return held
        for handle in held.values():
            unlock(handle)
        return None

    def _lock(self, name: str) -> Path:
        """The lock file of a device: by what is behind its number where the environment hides some of them."""
        number = int(name.partition(":")[2])
        visible = [part.strip() for part in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if part.strip()]
        behind = visible[number] if number < len(visible) else str(number)
        return (self._locks or lock_folder()) / f"device-cuda-{re.sub('[^A-Za-z0-9-]', '-', behind)}.lock"
