"""Reads predictions files, checked before: damaged, swapped or missing ones are errors, never other figures."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from xtreme_dag.core.errors import UserError
from xtreme_dag.core.home import Home
from xtreme_dag.engine.digests import FileDigests, list_files, tree_digest
from xtreme_dag.engine.records import is_hash
from xtreme_dag.scoring.columns import Metric

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

_AGAIN = "`xtreme-dag verify`, then run the study again: the stage is made anew"


class Predictions:
    """The predictions files of a home.

    Args:
        home: the folder that their paths are relative to; its caches remember their digests.
    """

    def __init__(self, home: Home) -> None:
        self._home = home
        self._kept: dict[tuple[str, str, str], pa.Table] = {}
        self._footers: dict[str, pq.FileMetaData] = {}

    def check(self, paths: Iterable[str]) -> None:
        """See `check_predictions`."""
        check_predictions(self._home, (self._home.root / path for path in paths))

    def columns(self, path: str) -> list[str]:
        """Names of the columns of a file that was checked."""
        return list(self._footer(path).schema.to_arrow_schema().names)

    def rows(self, path: str) -> int:
        """Number of rows of a file that was checked."""
        return int(self._footer(path).num_rows)

    def _footer(self, path: str) -> pq.FileMetaData:
        import pyarrow.parquet as pq

        if path not in self._footers:
            self._footers[path] = pq.read_metadata(self._home.root / path)
        return self._footers[path]

    def read(self, path: str, metric: Metric, *, keep: bool, cluster: str = "") -> pa.Table:
        """The ids and a metric's statistics in a file that was checked, or what was kept of it.

        Args:
            path: the file.
            metric: the metric.
            keep: it will be asked for again.
            cluster: a column that says which examples hang together, read too.
        """
        key = (path, metric.name, cluster)
        found = self._kept.get(key) or read_rows(self._home.root / path, metric, cluster, self._footer(path))
        if keep:
            self._kept[key] = found
        return found

    def gold(self, path: str, ids: pa.Array) -> list[str]:
        """The gold outcomes of some examples in a file that was checked, as text."""
        import pyarrow.compute as pc
        import pyarrow.parquet as pq

        with pq.ParquetFile(self._home.root / path, metadata=self._footer(path)) as file:
            table = file.read(columns=["id", "gold"], use_threads=False)
        places = pc.index_in(ids, value_set=table["id"].combine_chunks())
        return ["" if outcome is None else outcome for outcome in table["gold"].take(places).to_pylist()]


def remembered_digests(home: Home) -> FileDigests:
    """The digests of files of a home's store, by their states; shared with the runs of studies."""
    return FileDigests(home.caches / "reads.json", settled_ns=0)


def check_predictions(home: Home, paths: Iterable[Path]) -> None:
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
            raise UserError("is not what was recorded: damaged or swapped", where=str(path), fix=_AGAIN)
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


def read_rows(path: Path, metric: Metric, cluster: str, footer: pq.FileMetaData | None = None) -> pa.Table:
    """The ids and a metric's statistics in a file, and the column of groups if one is named; see `Predictions.read`."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path, metadata=footer) as file:
        table = file.read(columns=["id", *metric.columns, *([cluster] if cluster else [])], use_threads=False)
    if any(table[name].null_count for name in metric.columns):  # outcome not known: not an example of the metric
        table = table.drop_null()
    return table
