"""Tables as the frames that a notebook has: pandas, Polars or Arrow."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal, get_args

from xtreme_dag.core.errors import UserError, nearest

if TYPE_CHECKING:
    import pyarrow as pa

Frames = Literal["pandas", "polars", "arrow"]
_MODULES = {"pandas": "pandas", "polars": "polars", "arrow": "pyarrow"}


def kind_of(frames: str | None) -> Frames:
    """The kind of frames that was asked for; by default the first of pandas, Polars and Arrow that is installed.

    Raises:
        UserError: there is no such kind, or its package is not installed.
    """
    kinds: tuple[Frames, ...] = get_args(Frames)
    chosen = next((kind for kind in kinds if frames in (None, kind) and find_spec(_MODULES[kind]) is not None), None)
    if chosen is not None:
        return chosen
    if frames in kinds:
        raise UserError(f"{frames} is not installed", where="frames", fix=f"pip install {frames}, or frames='arrow'")
    raise UserError(f"no frames {frames!r}", where="frames", fix=nearest(str(frames), kinds))


def framed(table: pa.Table, kind: Frames) -> Any:
    """A table as a frame of this kind."""
    if kind == "pandas":
        return table.to_pandas()
    if kind == "polars":
        import polars

        return polars.from_arrow(table)
    return table
