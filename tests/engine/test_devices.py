"""Devices are leased whole: as many as a stage asks for, or none."""

import pytest

from xtreme_dag.core.errors import UserError
from xtreme_dag.engine.devices import Devices

GPUS = ("cuda:0", "cuda:1", "cuda:2")


def test_a_stage_gets_as_many_devices_as_it_asks_for(tmp_path):
    devices = Devices(GPUS, tmp_path)
    with devices.lease(1, "one", print) as first, devices.lease(2, "two", print) as others:
        assert (first, others) == ("cuda:0", "cuda:1,cuda:2")
    with devices.lease(3, "all", print) as every:
        assert every == "cuda:0,cuda:1,cuda:2"


def test_what_cannot_be_had_whole_is_left_to_others(tmp_path):
    """While a stage waits for two devices it holds none."""

    class Enough(Exception):
        pass

    said = []

    def waiting(holder):
        said.append(holder)
        with devices.lease(1, "three", print) as third:
            assert third == "cuda:2"
        raise Enough

    devices = Devices(GPUS, tmp_path)
    with devices.lease(2, "one", print), pytest.raises(Enough), devices.lease(2, "two", waiting):
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
