"""What `import xtreme_dag` offers: a study as an object, its plan, its run and its results as frames."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xtreme_dag.core.errors import UserError
from xtreme_dag.core.home import Home
from xtreme_dag.program.face_answers import Answers
from xtreme_dag.program.frames import Frames, kind_of

if TYPE_CHECKING:
    import duckdb


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
    from xtreme_dag.program.options import study_path

    return Study(study_path(Path(study)), Home.find(home), overrides, kind_of(frames))


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

    return connected(Home.find(home), predictions=predictions)


class Study(Answers):
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

        from xtreme_dag.program.options import opened
        from xtreme_dag.program.planning import made

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
            `stages` (outcome -> count), `failed` (stage -> reason), `results` and `report` (paths), `answer` and
            `warnings` (sentences),
            `seconds`.

        Raises:
            UserError: the study, the home or the machine is not as it should be; or stages failed: what could be done
                is done and landed.

        Examples:
            >>> study.run()["stages"]["failed"]
            0
        """
        from xtreme_dag.program.running import run_study

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
