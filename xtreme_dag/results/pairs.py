"""Reading predictions in pairs: the same examples, in the same order, for every condition and seed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xtreme_dag.core.errors import UserError
from xtreme_dag.results.predictions import Predictions
from xtreme_dag.scoring.columns import Metric, Sums, metric_at
from xtreme_dag.scoring.combine import FAMILIES
from xtreme_dag.tables.predictions import CLUSTER, CLUSTER_IF_ASKED

if TYPE_CHECKING:
    import pyarrow as pa

Run = tuple[str, int]
"""A condition and a seed."""
# Rows of a task: threads that read fewer cost more than they save.
_WORTH_THREADS = 100_000


@dataclass(frozen=True, kw_only=True)
class Leaf:
    """The paired predictions of one task in one language.

    Attributes:
        language: the language.
        ids: ids of the examples that all runs have, in one order.
        columns: for each run its statistics (n, columns of the metric).
        dropped: examples that some run lacks, which are left out.
        cluster: the group that each example is drawn with, as a whole; None where examples are drawn one by one.
        sizes: of a leaf whose rows are groups (`folded`), the number of examples in each.
    """

    language: str
    ids: pa.Array
    columns: Mapping[Run, NDArray[np.float32]]
    dropped: int
    cluster: pa.Array | None = None
    sizes: NDArray[np.float32] | None = None

    @property
    def n(self) -> int:
        """Number of rows: what is drawn."""
        return len(self.ids)

    @property
    def examples(self) -> int:
        """Number of examples."""
        return self.n if self.sizes is None else int(self.sizes.sum())


def folded(leaf: Leaf) -> Leaf:
    """A leaf whose rows are its groups of examples, with the sums of their statistics; a leaf without groups as it is."""
    if leaf.cluster is None:
        return leaf
    groups = leaf.cluster.dictionary_encode()
    of, count = groups.indices.to_numpy(), len(groups.dictionary)

    def summed(block: NDArray[np.float32]) -> NDArray[np.float32]:
        sums = np.stack([np.bincount(of, column, count) for column in block.T], axis=1)
        return sums.astype(np.float32)

    return replace(
        leaf,
        ids=groups.dictionary,
        columns={run: summed(block) for run, block in leaf.columns.items()},
        cluster=None,
        sizes=np.bincount(of, minlength=count).astype(np.float32),
    )


def _share(sums: Sums) -> NDArray[np.float64]:
    """The mean of the examples' own figures."""
    return 100.0 * sums["share"] / sums["n"]


def find_metric(name: str, available: Sequence[str], task: str = "", added: Iterable[str] = ()) -> Metric:
    """The metric of this name that the columns of a predictions file (of a task) allow.

    Args:
        name: its name in `scores`.
        available: the columns.
        task: for the error.
        added: dotted names of the metrics that the task adds to those of its family; asked for where those have none.

    Raises:
        UserError: no metric has this name and only columns that are there.
    """
    families = (family for family in FAMILIES.values() if set(family.columns) <= set(available))
    own = (metric for family in families for metric in family.metrics)
    for metric in chain(own, map(metric_at, added)):
        if metric.name == name and set(metric.columns) <= set(available):
            return metric
    statistics = sorted(column for column in available if column.startswith("s_"))
    raise UserError(f"metric {name!r} cannot be computed from {', '.join(statistics) or 'no statistics'}", where=task)


def family_of(available: Sequence[str]) -> str:
    """The family whose statistics the columns of a predictions file are: of several, the one with most of them."""
    there = {name: len(set(of.columns)) for name, of in FAMILIES.items() if set(of.columns) <= set(available)}
    return max(there, key=lambda name: there[name], default="")


def added_metrics(task: str) -> Iterator[str]:
    """Dotted names of the metrics that a task adds; the catalogue is read when they are asked for."""
    from xtreme_dag.catalogue.catalogue import load_catalogue

    listed = load_catalogue().tasks.get(task)
    yield from listed.metrics if listed else ()


def cluster_column(predictions: Predictions, paths: Mapping[str, Mapping[Run, str]], asked: bool) -> str:
    """The column of groups that are drawn as wholes; empty where examples are drawn one by one.

    Args:
        predictions: reads the files.
        paths: language -> run -> predictions file.
        asked: whether groups are drawn as wholes too that are not always.
    """
    there = {name for runs in paths.values() for path in runs.values() for name in predictions.columns(path)}
    names = (CLUSTER, *([CLUSTER_IF_ASKED] if asked else []))
    return next((name for name in names if name in there), "")


def as_mean(metric: Metric, leaf: Leaf) -> tuple[Metric, Leaf]:
    """The same for a metric that is a mean, with one column per run: the share that each example adds (0-1)."""
    one = np.ones(leaf.n)
    columns = {
        run: (
            metric.combine(
                {name: block[:, place].astype(np.float64) for place, name in enumerate(metric.columns)} | {"n": one}
            )
            / 100.0
        ).astype(np.float32)[:, None]
        for run, block in leaf.columns.items()
    }
    return Metric(name=metric.name, columns=("share",), combine=_share, is_mean=True), replace(leaf, columns=columns)


def read_leaves(
    files: Mapping[str, Mapping[Run, str]], metric: Metric, predictions: Predictions, cluster: str = ""
) -> list[Leaf]:
    """Reads the predictions of a task from files that were checked.

    Returns one leaf per language that has examples with a known outcome.

    Args:
        files: language -> run -> predictions file; each language has the same runs.
        metric: whose statistics are read.
        predictions: reads the files; those of the baseline are kept for the next condition.
        cluster: the column of groups that are drawn as wholes, if there is one; an imported file may lack it.

    Raises:
        UserError: a file has the same id twice.
    """
    jobs = [(language, run) for language in files for run in files[language]]

    def read(job: tuple[str, Run]) -> pa.Table:
        path = files[job[0]][job[1]]
        named = cluster if cluster and cluster in predictions.columns(path) else ""
        return predictions.read(path, metric, keep=job[1][0] == "baseline", cluster=named)

    if sum(predictions.rows(files[language][run]) for language, run in jobs) < _WORTH_THREADS:
        tables = [read(job) for job in jobs]
    else:
        with ThreadPoolExecutor() as pool:
            tables = list(pool.map(read, jobs))
    found = dict(zip(jobs, tables, strict=True))
    leaves = [
        leaf_of(language, {run: found[language, run] for run in files[language]}, metric, cluster) for language in files
    ]
    return [leaf for leaf in leaves if leaf.n]


def leaf_of(language: str, tables: Mapping[Run, pa.Table], metric: Metric, cluster: str) -> Leaf:
    """The paired predictions of one language, from a table for each run; see `read_leaves`."""
    first = next(iter(tables.values()))["id"]
    if all(table["id"].equals(first) for table in tables.values()):
        ids, dropped = first.combine_chunks(), 0
    else:
        ids, dropped = _common(tables)
        tables = {run: table.take(_positions(ids, table)) for run, table in tables.items()}
    stacked = {
        run: np.stack([numbers(table[name].combine_chunks()) for name in metric.columns], axis=1).astype(np.float32)
        for run, table in tables.items()
    }
    groups = next((table[cluster].combine_chunks() for table in tables.values() if cluster in table.column_names), None)
    return Leaf(language=language, ids=ids, columns=stacked, dropped=dropped, cluster=groups)


def numbers(array: pa.Array) -> NDArray[Any]:
    """An array of numbers without gaps, as it lies in memory; pyarrow's own `to_numpy` imports pandas first."""
    if array.null_count or not len(array):
        return np.asarray(array.to_pylist(), dtype=np.float64)
    kind = np.dtype(array.type.to_pandas_dtype())
    return np.frombuffer(array.buffers()[1], kind, count=len(array), offset=array.offset * kind.itemsize)


def _common(tables: Mapping[Run, pa.Table]) -> tuple[pa.Array, int]:
    """Ids that every table has, in the order of the first, and how many ids some table lacks."""
    import pyarrow.compute as pc

    arrays = [table["id"].combine_chunks() for table in tables.values()]
    everything: set[str] = set()
    for (condition, seed), array in zip(tables, arrays, strict=True):
        names = set(array.to_pylist())
        if len(names) != len(array):
            raise UserError("its predictions have the same id twice", where=f"condition {condition}, seed {seed}")
        everything |= names
    ids = arrays[0]
    for array in arrays[1:]:
        ids = ids.filter(pc.is_in(ids, value_set=array))
    return ids, len(everything) - len(ids)


def _positions(ids: pa.Array, table: pa.Table) -> pa.Array:
    import pyarrow.compute as pc

    return pc.index_in(ids, value_set=table["id"].combine_chunks())
