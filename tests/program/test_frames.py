"""Tables leave by Arrow's C interface, which Polars and pandas read; a kind that is not installed is said."""

from importlib.util import find_spec

import pyarrow as pa
import pytest

from xtreme_dag.core.errors import UserError
from xtreme_dag.program import frames
from xtreme_dag.program.frames import framed, kind_of

ROWS = [
    {"text": "a", "number": 1.5, "none": None, "words": ["x", "y"], "flag": True},
    {"text": "\u00e9", "number": None, "none": "z", "words": [], "flag": False},
]


def test_the_c_interface_gives_the_rows_that_went_in():
    """The protocol alone, which is all that Polars asks of a table: a stream of batches behind `__arrow_c_stream__`."""
    table = framed(pa.Table.from_pylist(ROWS), "arrow")

    class Stream:
        def __arrow_c_stream__(self, requested_schema=None):
            return table.__arrow_c_stream__(requested_schema)

    assert pa.table(Stream()).to_pylist() == ROWS


@pytest.mark.parametrize("kind", ["pandas", "polars", "arrow"])
def test_each_kind_is_made_or_its_package_is_named(kind):
    if find_spec(frames._MODULES[kind]) is None:
        with pytest.raises(UserError, match=f"{kind} is not installed"):
            kind_of(kind)
        return
    made = framed(pa.Table.from_pylist(ROWS), kind_of(kind))
    back = {"pandas": lambda: made["words"].map(list).tolist(), "polars": lambda: made["words"].to_list(),
            "arrow": lambda: made["words"].to_pylist()}[kind]()  # fmt: skip
    assert back == [["x", "y"], []] and list(made["flag"]) in ([True, False], [pa.scalar(True), pa.scalar(False)])
