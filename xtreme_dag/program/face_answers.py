"""What a study of `import xtreme_dag` can be asked once it has run: frames of its results, and its models."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xtreme_dag.core.errors import UserError, nearest
from xtreme_dag.core.home import Home
from xtreme_dag.program.frames import Frames, framed

if TYPE_CHECKING:
    import pyarrow as pa

Names = str | Iterable[str] | None
"""One name, several, or None for all."""


class Answers(ABC):
    """The questions to the results of a study; `face.Study` says which study.

    Attributes:
        frames: what tables come as.
    """

    frames: Frames
    _home: Home

    @property
    @abstractmethod
    def name(self) -> str:
        """The study's name."""

    @property
    @abstractmethod
    def seeds(self) -> tuple[int, ...]:
        """The seeds."""

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
            self._home, study=self.name, baseline=baseline, conditions=_list(condition), tasks=_list(task),
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
        return self._framed(examples(self._home, self.name, asked, seed=seed, split=split, wrong=wrong))

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

    def model(
        self,
        *,
        task: str,
        condition: str,
        seed: int | None = None,
        head: str | None = None,
        out: str | Path | None = None,
    ) -> Path:
        """A trained model as a folder that transformers loads by itself, with its model card, as `model export` writes it.

        Args:
            task: the target task that it was evaluated on. Of a task that trains nothing (Tatoeba) it is the encoder
                behind the condition.
            condition: the condition.
            seed: by default the study's first.
            head: which head, where the model has several.
            out: a folder that does not exist yet, or is empty; by default one in the home, `exported/TASK CONDITION SEED`
                and the start of the model's key, which is written once.

        Returns:
            The folder; `README.md` in it shows its use.

        Raises:
            UserError: no such model was evaluated; it is damaged or its weights were dropped.

        Examples:
            >>> folder = study.model(task="xnli", condition="mixed")
            >>> from transformers import pipeline
            >>> pipe = pipeline("text-classification", model=str(folder))
            >>> pipe("a")[0]["label"] in {"contradiction", "entailment", "neutral"}
            True
        """
        from xtreme_dag.heads.export import CARD
        from xtreme_dag.program.asking import model_of
        from xtreme_dag.report.model_export import export_stage

        chosen = self.seeds[0] if seed is None else seed
        key = model_of(self._home, self.name, task, condition, chosen)
        if out is not None:
            folder = Path(out).absolute()
        else:
            folder = self._home.root / "exported" / " ".join([task, condition, str(chosen), head or "", key[:12]])
            if (folder / CARD).is_file():
                return folder
        export_stage(self._home, key, folder, head=head)
        return folder

    def sql(self, query: str) -> Any:
        """The answer of a query to the home's results, all of its studies, as a frame.

        Raises:
            UserError: the query is refused or fails.

        Examples:
            >>> study.sql("SELECT DISTINCT study FROM scores")["study"].to_list()
            ['tiny']
        """
        from xtreme_dag.results.query import reader, reads_rows, run_query

        with reader(self._home, predictions=reads_rows(query)) as connection:
            return self._framed(run_query(connection, query))

    def _framed(self, table: pa.Table) -> Any:
        return framed(table, self.frames)

    def _ask(self, sql: str, values: dict[str, Any] | None = None) -> pa.Table:
        from xtreme_dag.program.asking import answer

        return answer(self._home, self.name, sql, values)


def _list(names: Names) -> list[str] | None:
    """Names as a list."""
    if names is None:
        return None
    return [names] if isinstance(names, str) else list(names)
