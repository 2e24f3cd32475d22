"""Reads predictions files, checked before: damaged, swapped or missing ones are errors, never other figures."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from xtreme_dag.core.errors import UserError
from xtreme_dag.core.home import Home
from xtreme_dag.engine.digests import FileDigests, list_files, tree_digest
from xtreme_dag.engine.records import is_hash
from xtreme_dag.scoring.columns import Metric

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

_SEVERAL = 10  # fewer examples can have one answer by chance
_AGAIN = "`xtreme-dag verify`, then run the study again: the stage is made anew"


class File(NamedTuple):
    """What is read of a predictions file.

    Attributes:
        table: ids and statistics.
        constant: whether it gives one answer to all examples.
    """

    table: pa.Table
    constant: bool


class Predictions:
    """The predictions files of a home.

    Args:
        home: the folder that their paths are relative to; its caches remember their digests.
    """

    def __init__(self, home: Path) -> None:
        self._home = home
        self._kept: dict[tuple[str, str], File] = {}

    def check(self, paths: Iterable[str]) -> None:
        """See `check_predictions`."""
        check_predictions(self._home, (self._home / path for path in paths))

    def columns(self, path: str) -> list[str]:
        """Names of the columns of a file that was checked."""
        import pyarrow.parquet as pq

        return list(pq.read_schema(self._home / path).names)

    def read(self, path: str, metric: Metric, *, keep: bool) -> File:
        """A file that was checked, or what was kept of it; keep: it will be asked for again."""
        found = self._kept.get((path, metric.name)) or _read(self._home / path, metric)
        if keep:
            self._kept[path, metric.name] = found
        return found


def remembered_digests(home: Path) -> FileDigests:
    """The digests of files of a home's store, by their states; shared with the runs of studies."""
    return FileDigests(Home(Path(home)).caches / "reads.json", settled_ns=0)


def check_predictions(home: Path, paths: Iterable[Path]) -> None:
    """Compares the artifacts of predictions files with their names, which are digests of their content.

    Only files whose state (size, times, inode) changed since they were last hashed are read.

    Args:
        home: whose caches remember the digests.
        paths: the predictions files; a folder that is not named by a digest must hold a Parquet file only.

    Raises:
        UserError: a file is missing or not what the evaluation wrote; names it.
    """
    digests = remembered_digests(home)
    for path in dict.fromkeys(paths):
        if not path.is_file():
            raise UserError("the predictions are gone", where=str(path), fix=_AGAIN)
        if not (_is_whole(path.parent, digests) if is_hash(path.parent.name) else _is_parquet(path)):
            raise UserError(
                "is not what was recorded: damaged or swapped", where=str(path), fix=_AGAIN
            )
    with suppress(OSError):  # a home that cannot be written is hashed each time
        digests.save()


def _is_whole(artifact: Path, digests: FileDigests) -> bool:
    """Whether the content of an artifact is that which its name says; hidden files do not count."""
    try:
        files = {name: path for name, path in list_files(artifact).items() if not path.name.startswith(".")}
        return tree_digest({name: (digests.file(path).digest, 0) for name, path in files.items()}) == artifact.name
    except OSError:
        return False


def _is_parquet(path: Path) -> bool:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        pq.read_metadata(path)
    except (OSError, pa.ArrowException):
        return False
    return True


def _read(path: Path, metric: Metric) -> File:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        table = file.read(columns=["id", *metric.columns], use_threads=False)
        constant = _is_constant(file)
    if any(table[name].null_count for name in metric.columns):  # outcome not known: not an example of the metric
        table = table.drop_null()
    return File(table, constant)


def _is_constant(file: pq.ParquetFile) -> bool:
    """Whether one label, or one answer, is predicted for all of several examples (for tags: for all their words).

    The least and the largest prediction, which a Parquet file says of itself, nearly always tell without reading.
    """
    place = file.schema_arrow.get_field_index("prediction")
    if place < 0 or file.metadata.num_rows < _SEVERAL:
        return False
    words: set[str] = set()
    for number in range(file.metadata.num_row_groups):
        told = file.metadata.row_group(number).column(place).statistics
        if told is not None and told.has_min_max:
            words.update(told.min.split(" "), told.max.split(" "))
            if len(words) > 1 and told.min != told.max:
                return False
    predictions = file.read(columns=["prediction"], use_threads=False)["prediction"].unique().to_pylist()
    return len(predictions) == 1 or len({word for text in predictions if text for word in text.split(" ")}) == 1
