"""Locks: never two holders, whatever fails and whoever removes their files meanwhile."""

import errno
import os
import threading
from pathlib import Path

import pytest

from xtreme_dag.core.locks import remove_free, try_lock, unlock


def full(*_arguments):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("call", ["write", "ftruncate"])
def test_a_lock_whose_file_cannot_be_written_is_not_held(tmp_path, monkeypatch, call):
    before = len(list(Path("/dev/fd").iterdir()))
    with monkeypatch.context() as patched:
        patched.setattr(os, call, full)
        with pytest.raises(OSError, match="No space left"):
            try_lock(tmp_path / "x.lock", "a")
    assert len(list(Path("/dev/fd").iterdir())) == before
    handle = try_lock(tmp_path / "x.lock", "a")
    assert handle is not None
    unlock(handle)


@pytest.mark.parametrize("shared", [False, True])
def test_the_file_of_a_lock_is_removed_when_nobody_holds_it(tmp_path, shared):
    path = tmp_path / "x.lock"
    assert not remove_free(path) and not path.exists()
    handle = try_lock(path, "a", shared=shared)
    assert not remove_free(path) and path.exists()
    unlock(handle)
    assert remove_free(path) and not path.exists()


@pytest.mark.parametrize("shared", [False, True])
def test_a_file_that_was_removed_after_it_was_opened_is_no_lock(tmp_path, monkeypatch, shared):
    path, opened, held = tmp_path / "x.lock", os.open, []
    unlock(try_lock(path, "a"))

    def slowly(*arguments):
        handle = opened(*arguments)
        monkeypatch.setattr(os, "open", opened)
        assert remove_free(path)
        held.append(try_lock(path, "b"))
        return handle

    monkeypatch.setattr(os, "open", slowly)
    assert try_lock(path, "c", shared=shared) is None and held != [None]
    unlock(held[0])
    assert try_lock(path, "c", shared=shared) is not None


def test_there_is_one_holder_at_most_while_files_are_removed(tmp_path):
    path, inside, most, taken, done = tmp_path / "x.lock", [], [], [], threading.Event()

    def take():
        while not done.is_set():
            if (handle := try_lock(path, "a")) is not None:
                inside.append(handle)
                most.append(len(inside))
                inside.remove(handle)
                unlock(handle)

    def remove():
        while len(taken) < 100:
            if remove_free(path):
                taken.append(path)
        done.set()

    threads = [threading.Thread(target=work) for work in (take, take, take, remove)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(most) == {1}
