"""Devices are leased whole: as many as a stage asks for, or none."""

import os

import pytest

from xtreme_dag.core.errors import UserError
from xtreme_dag.engine import devices
from xtreme_dag.engine.devices import Devices

GPUS = ("cuda:0", "cuda:1", "cuda:2")


def test_a_stage_gets_as_many_devices_as_it_asks_for(tmp_path):
    gpus = Devices(GPUS, tmp_path)
    with gpus.lease(1, "one", print) as first, gpus.lease(2, "two", print) as others:
        assert (first, others) == ("cuda:0", "cuda:1,cuda:2")
    with gpus.lease(3, "all", print) as every:
        assert every == "cuda:0,cuda:1,cuda:2"


def test_what_cannot_be_had_whole_is_left_to_others(tmp_path):
    """While a stage waits for two devices it holds none."""

    class Enough(Exception):
        pass

    said = []

    def waiting(holder):
        said.append(holder)
        with gpus.lease(1, "three", print) as third:
            assert third == "cuda:2"
        raise Enough

    gpus = Devices(GPUS, tmp_path)
    with gpus.lease(2, "one", print), pytest.raises(Enough), gpus.lease(2, "two", waiting):
        pass
    assert len(said) == 1 and "(one)" in said[0]


def test_more_devices_than_there_are_is_an_error_and_the_cpu_has_no_number(tmp_path):
    with (
        pytest.raises(UserError, match="asks for 4 devices and there are 3"),
        Devices(GPUS, tmp_path).lease(4, "one", print),
    ):
        pass
    with Devices(("cpu",), tmp_path).lease(4, "one", print) as device:
        assert device == "cpu"


def test_homes_of_a_user_share_the_devices_of_a_machine(tmp_path, monkeypatch):
    """Whatever the home and the environment say of temporary folders."""
    first = Devices(("cuda:0",))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with first.lease(1, "of one home", print), pytest.raises(TimeoutError, match="of one home"):

        def waiting(holder):
            raise TimeoutError(holder)

        with Devices(("cuda:0",)).lease(1, "of another", waiting):
            pass


def test_a_device_is_known_by_what_is_behind_its_number(tmp_path, monkeypatch):
    """`cuda:0` of a process that sees the second GPU alone is `cuda:1` of one that sees both."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    with Devices(("cuda:0",), tmp_path).lease(1, "second", print):
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
        with Devices(("cuda:0", "cuda:1"), tmp_path).lease(1, "any", print) as found:
            assert found == "cuda:0"


def test_a_folder_of_somebody_else_holds_no_locks(tmp_path, monkeypatch):
    monkeypatch.setattr(devices, "_LOCKS", str(tmp_path / "locks"))
    (tmp_path / "elsewhere").mkdir()
    assert devices.lock_folder() == tmp_path / f"locks-{os.getuid()}"
    devices.lock_folder().rmdir()
    (tmp_path / f"locks-{os.getuid()}").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="not a folder of yours"):
        devices.lock_folder()
