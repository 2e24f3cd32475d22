"""What `import xtreme_dag` offers: a study as an object, its plan, its run and its results as frames."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xtreme_dag.core.errors import UserError, nearest
from xtreme_dag.core.home import Home
from xtreme_dag.program.frames import Frames, framed, kind_of

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

Names = str | Iterable[str] | None
"""One name, several, or None for all."""


def load(
    study: str | Path, /, *, home: str | Path | None = None, frames: Frames | None = None, **overrides: Any
) -> Study:
    """A study file, to be planned, run and asked.

    Args:
        study: path of the file.
        home: folder of all state; by default `XTREME_DAG_HOME`, else `.xtreme-dag` in the working directory.
        frames: what tables come as; by default the first of pandas, Polars and Arrow that is installed.
        overrides: keys of the file with other values; a key within another one is dotted, see the last example.

    Raises:
        UserError: the file cannot be read, or a key or value is wrong.

    Examples:
        >>> import xtreme_dag as xd
        >>> study = xd.load("study.yaml", home="home")
        >>> study
        <Study tiny: 3 conditions, 4 targets, seeds 1>
        >>> xd.load("study.yaml", home="home", seeds=[1, 2], **{"compare.baseline": "none"}).seeds
        (1, 2)
    """
    return Study(Path(study), Home.find(home), overrides, kind_of(frames))


def connect(home: str | Path | None = None, *, predictions: bool = True) -> duckdb.DuckDBPyConnection:
    """A DuckDB connection to the results of a home, which stays open and cannot write them.

    It sees the results as they are now, also while a run lands others; the views `predictions` and `examples` work from
    any directory. Close it, or use it in a `with` statement.

    Args:
        home: as of `load`.
        predictions: check the files behind `predictions` and `examples`; without, `predictions` of a home that has
            been tidied up does not stop the connection.

    Raises:
        UserError: there are no results that can be read, or predictions are missing or damaged.

    Examples:
        >>> import xtreme_dag as xd
        >>> with xd.connect("home") as results:
        ...     results.sql("SELECT count(DISTINCT condition) FROM scores").fetchall()
        [(3,)]
    """
    from xtreme_dag.results.query import connect as connected

    return connected(Home.find(home).root, predictions=predictions)


class Study:
    """A study file, and what a home knows of it; see `load`.

    Attributes:
        file: the study file.
        home: the folder of all state.
        frames: what tables come as: `pandas`, `polars` or `arrow`.
    """

    def __init__(self, file: Path, home: Home, overrides: dict[str, Any], frames: Frames) -> None:
        from xtreme_dag.study.file import load_study

        self.file, self.frames = file, frames
        self._home = home
        self._overrides = tuple(f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in overrides.items())
        self._study = load_study(file, self._overrides)

    def __repr__(self) -> str:
        study = self._study
        seeds = " ".join(map(str, study.seeds))
        return (
            f"<Study {study.study}: {len(study.intermediate)} conditions, {len(study.targets)} targets, seeds {seeds}>"
        )

    @property
    def name(self) -> str:
        """The study's name."""
        return self._study.study

    @property
    def home(self) -> Path:
        """The folder of all state."""
        return self._home.root

    @property
    def conditions(self) -> tuple[str, ...]:
        """Names of the conditions, in the file's order."""
        return tuple(self._study.intermediate)

    @property
    def baseline(self) -> str:
        """The condition that the others are compared with."""
        return self._study.compare.baseline

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds."""
        return self._study.seeds

    def plan(self, *, force: Sequence[str] = ()) -> Any:
        """What a run would do: a row for each stage.

        Args:
            force: patterns of stages that count as not cached, as of `xtreme-dag run --force`.

        Returns:
            A frame of `stage`, `kind`, `status` (`cached`, `stale`, `new`, `waiting`, `failed`), `reasons` (in words),
            `expected_seconds` (from earlier runs; missing if unknown) and `key` (missing as long as it depends on a
            stage that has not run).

        Examples:
            >>> plan = study.plan()
            >>> set(plan["status"])
            {'cached'}
        """
        import pyarrow as pa

        from xtreme_dag.program.commands.plan import made
        from xtreme_dag.program.options import opened

        _study, built = opened(self.file, self._overrides)
        plan, _current = made(self._home, self._study, built, tuple(force))
        rows = [
            {
                "stage": planned.stage.name,
                "kind": planned.stage.kind,
                "status": planned.status,
                "reasons": "; ".join(planned.reasons),
                "expected_seconds": planned.expected_seconds,
                "key": planned.key or None,
            }
            for planned in plan.stages
        ]
        text, number = pa.string(), pa.float64()
        fields = {"stage": text, "kind": text, "status": text, "reasons": text, "expected_seconds": number, "key": text}
        return self._framed(pa.Table.from_pylist(rows, schema=pa.schema(list(fields.items()))))

    def run(
        self,
        *,
        server: bool = True,
        force: Sequence[str] = (),
        device: str = "auto",
        workers: int = 0,
        threads: int = 1,
        timeout: float | None = None,
        mirror: str | None = None,
        track: str | None = None,
        check: bool = True,
    ) -> dict[str, Any]:
        """Runs what is not cached, lands the results and writes the report, as `xtreme-dag run` does.

        Args:
            server: record the run on a Prefect server: the configured one, else a local one. Without, stages run from
                this process, with the same results.
            force: patterns of stages to run although they are cached.
            device: `auto`, `cpu`, `cuda` or `cuda:N`.
            workers: stages side by side; 0 for one per core.
            threads: CPU threads of a stage.
            timeout: seconds that one stage may take.
            mirror: URL of a mirror of the store.
            track: `mlflow:URI` logs the study to MLflow too.
            check: raise if a stage failed; else look at `failed` in what is returned.

        Returns:
            `stages` (outcome -> count), `failed` (stage -> reason), `results` and `report` (paths), `warnings`,
            `seconds`.

        Raises:
            UserError: the study, the home or the machine is not as it should be; or stages failed: what could be done
                is done and landed.

        Examples:
            >>> study.run()["stages"]["failed"]
            0
        """
        from xtreme_dag.program.commands.run import run_study

        outcome = run_study(
            self._home, self.file, self._overrides, tuple(force), prefect=server, device=device, workers=workers,
            threads=threads, timeout=timeout, mirror=mirror, track=track,
        )  # fmt: skip
        if check and outcome["failed"]:
            stage, reason = next(iter(outcome["failed"].items()))
            counts = outcome["stages"]
            what = f"{counts['failed']} stages failed, {counts['not run']} not run: {reason}"
            raise UserError(what, where=stage, fix="run(check=False) returns all reasons")
        return outcome

    def scores(self, *, metric: str | None = None) -> Any:
        """The scores that have landed: a row for each condition, task, language, split and seed.

        Args:
            metric: a metric, or `all`; by default each task's primary one.

        Returns:
            A frame of `condition`, `task`, `language`, `split`, `seed`, `metric`, `value` (0-100), `n` (examples) and
            `supervision` (what the model was trained on in the language).

        Raises:
            UserError: the study has not landed, or nothing has this metric.

        Examples:
            >>> scores = study.scores()
            >>> sorted(set(scores["task"]))
            ['tatoeba', 'udpos', 'xnli', 'xquad']
        """
        where = {None: "is_primary", "all": "true"}.get(metric, "metric = $metric")
        sql = (
            "SELECT condition, task, language, split, seed, metric, value, n, supervision FROM scores"
            f" WHERE study = $study AND {where} ORDER BY ALL"
        )
        table = self._ask(sql, {} if metric in (None, "all") else {"metric": metric})
        if not table.num_rows:
            known = self._ask("SELECT DISTINCT metric FROM scores WHERE study = $study")["metric"].to_pylist()
            raise UserError(f"no scores of the metric {metric!r}", where=self.name, fix=nearest(str(metric), known))
        return self._framed(table)

    def compare(
        self,
        baseline: str | None = None,
        condition: Names = None,
        *,
        task: Names = None,
        language: Names = None,
        languages: bool = False,
        split: str = "test",
        metric: str | None = None,
        clusters: bool | None = None,
    ) -> Any:
        """Conditions against a baseline, as `xtreme-dag compare` does: differences in points, with intervals.

        Args:
            baseline: by default the study's.
            condition: one or several; by default all others.
            task, language: only these.
            languages: a row for each task and language, instead of the means over languages.
            split: the split.
            metric: a metric instead of each task's primary one.
            clusters: resample paragraphs with all their questions; by default what the study file says.

        Returns:
            A frame of `condition`, `baseline`, `task` and `language` (missing for a mean over them), `part` (over
            which languages), `metric`, `baseline_value`, `value`, `delta`, `low`, `high`, `p`, `p_corrected`,
            `verdict`, `detectable`, `n`, `seeds`.

        Raises:
            UserError: unknown names, or predictions are missing or damaged.

        Examples:
            >>> found = study.compare("english", "mixed", languages=True)
            >>> len(found) == len(found[found["delta"].notna()])
            True
        """
        import pyarrow as pa

        from xtreme_dag.results.compare import compare_conditions

        compared = compare_conditions(
            self.home, study=self.name, baseline=baseline, conditions=_list(condition), tasks=_list(task),
            languages=_list(language), split=split, metric=metric, clusters=clusters,
        )  # fmt: skip
        fields = (
            "task", "language", "part", "metric", "baseline_value", "value", "delta", "low", "high", "p", "p_corrected",
            "verdict", "detectable", "n", "seeds",
        )  # fmt: skip
        rows = [
            {"condition": one.condition, "baseline": one.baseline} | {name: getattr(effect, name) for name in fields}
            for one in compared
            for effect in (one.languages if languages else one.rows)
        ]
        return self._framed(pa.Table.from_pylist(rows))

    def examples(
        self,
        *,
        task: Names = None,
        language: Names = None,
        condition: Names = None,
        seed: int | None = None,
        split: str = "test",
        wrong: bool = False,
    ) -> Any:
        """Predictions with the texts that they are of: a row for each example, condition and seed.

        Args:
            task, language, condition: only these.
            seed: only this one.
            split: the split.
            wrong: only examples that are not wholly right (of answers: no exact match; of tags: a wrong one).

        Returns:
            A frame of `condition`, `task`, `language`, `seed`, `id`, `gold`, `prediction`, `score`, `correct` and the
            texts: `texts` all in one, and the columns that the tasks' tables have (`text_a`, `context`, `words`, ...).

        Raises:
            UserError: a name that has no scores, or predictions are missing or damaged.

        Examples:
            >>> wrong = study.examples(task="xnli", language="de", condition="mixed", wrong=True)
            >>> {"gold", "prediction", "text_a", "text_b"} <= set(wrong.columns)
            True
        """
        from xtreme_dag.program.asking import examples

        asked = {"task": _list(task), "language": _list(language), "condition": _list(condition)}
        return self._framed(examples(self.home, self.name, asked, seed=seed, split=split, wrong=wrong))

    def curves(self, *, measure: Names = None, target: Names = None, condition: Names = None) -> Any:
        """How the trainings went: a row for each training, measure and point.

        Args:
            measure: `loss`, `dev` (looks at dev), `tokens_per_s`, `examples_per_s`, `mfu`, `memory_mb`; all by default.
            target: only training for these target tasks; `""` is intermediate training.
            condition: only these.

        Returns:
            A frame of `kind`, `condition`, `seed`, `target`, `step` (of intermediate training, from 1), `measure`,
            `optimizer_step` (steps done) and `value`.

        Raises:
            UserError: the study has not landed.

        Examples:
            >>> curves = study.curves(measure="loss", target="xnli")
            >>> sorted(set(curves["condition"]))
            ['english', 'mixed', 'none']
        """
        where = "".join(
            f" AND list_contains(${name}, {name})"
            for name, given in (("measure", measure), ("target", target), ("condition", condition))
            if given is not None
        )
        sql = (
            "SELECT kind, condition, seed, target, step, measure, optimizer_step, value FROM training_curves WHERE study = $study"
            f"{where} ORDER BY kind, condition, seed, target, step, measure, optimizer_step"
        )
        given = {"measure": _list(measure), "target": _list(target), "condition": _list(condition)}
        return self._framed(self._ask(sql, {name: names for name, names in given.items() if names is not None}))

    def sql(self, query: str) -> Any:
        """The answer of a query to the home's results, all of its studies, as a frame.

        Raises:
            UserError: the query is refused or fails.

        Examples:
            >>> study.sql("SELECT DISTINCT study FROM scores")["study"].to_list()
            ['tiny']
        """
        from xtreme_dag.results.query import reader, reads_rows, run_query

        with reader(self.home, predictions=reads_rows(query)) as connection:
            return self._framed(run_query(connection, query))

    def _framed(self, table: pa.Table) -> Any:
        return framed(table, self.frames)

    def _ask(self, sql: str, values: dict[str, Any] | None = None) -> pa.Table:
        from xtreme_dag.program.asking import answer

        return answer(self.home, self.name, sql, values)


def _list(names: Names) -> list[str] | None:
    """Names as a list."""
    if names is None:
        return None
    return [names] if isinstance(names, str) else list(names)
