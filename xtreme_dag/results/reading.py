"""What a study read and trained on, in words and as a table: stand-ins, limits, tokens."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from xtreme_dag.study.uneven import uneven

if TYPE_CHECKING:
    import duckdb

    from xtreme_dag.results.facts import TableFacts

_SHOWN = 8
# Percent of the published examples from which on a table is all of them: releases differ a little from what was counted.
# The view `test_data` has the same bound.
WHOLE = 95
HEADS = ("condition", "trained on", "languages", "examples", "tokens")


def data_lines(tables: Iterable[TableFacts]) -> list[str]:
    """What stands in for what, and how many examples of how many were read where they are not all.

    One line for each dataset, split and explanation; tables that are whole are left out. A table is not, where the study
    set a limit, and where its files have fewer examples than were published.
    """
    groups: dict[tuple[str, str, str], list[TableFacts]] = {}
    for table in tables:
        if table.stand_in or table.examples < table.available or 100 * table.examples < WHOLE * (table.published or 0):
            groups.setdefault((table.dataset, table.split, table.stand_in), []).append(table)
    lines = []
    for (dataset, split, stand_in), group in sorted(groups.items()):
        codes = sorted(table.language for table in group)
        shown = " ".join(codes) if len(codes) <= _SHOWN else f"{len(codes)} languages"
        whole = [table.published or table.available for table in group]
        amounts = f"{_span([table.examples for table in group])} of {_span(whole)} examples"
        what = f"is a stand-in: {stand_in}; " if stand_in else ""
        lines.append(f"{dataset} {split} ({shown}) {what}{'' if stand_in else 'has '}{amounts}")
    return lines


def _span(numbers: Sequence[int]) -> str:
    low, high = min(numbers), max(numbers)
    return f"{low:,}" if low == high else f"{low:,}-{high:,}"


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What the intermediate training of a condition really drew, the mean over its seeds.

    Attributes:
        condition: the condition.
        tasks, languages: in order of their names.
        examples, tokens: once through what was drawn; 0 without intermediate training.
        budgets: what its description says of budgets; conditions that are alike in it ought to have like tokens.
    """

    condition: str
    tasks: tuple[str, ...]
    languages: tuple[str, ...]
    examples: int
    tokens: int
    budgets: str

    def cells(self) -> tuple[str, ...]:
        """A line of the table with `HEADS`."""
        if not self.tokens:
            return self.condition, "-", "-", "0", "0"
        return self.condition, " ".join(self.tasks), " ".join(self.languages), f"{self.examples:,}", f"{self.tokens:,}"


def read_trained(connection: duckdb.DuckDBPyConnection, study: str) -> dict[str, Trained]:
    """The conditions of a study in its order; empty where nothing is known of their training."""
    drawn = {
        name: (tuple(sorted(tasks)), tuple(sorted(languages)), int(examples), int(tokens))
        for name, tasks, languages, examples, tokens in connection.execute(
            "SELECT condition, list_distinct(list(task)), list_distinct(list(language)),"
            " sum(examples) / count(DISTINCT seed), sum(tokens) / count(DISTINCT seed)"
            " FROM trained_on WHERE study = ? AND target = '' GROUP BY condition",
            [study],
        ).fetchall()
    }
    described = connection.execute(
        "SELECT condition, description FROM conditions WHERE study = ? ORDER BY position", [study]
    ).fetchall()
    if not drawn:
        return {}
    found = {}
    for name, text in described:
        description: Mapping[str, Any] = json.loads(text)
        steps = (description, *description.get("then", ()))
        tasks, languages, examples, tokens = drawn.get(name, ((), (), 0, 0))
        found[name] = Trained(
            condition=name,
            tasks=tasks,
            languages=languages,
            examples=examples,
            tokens=tokens,
            budgets=json.dumps([step.get("budget") for step in steps], sort_keys=True),
        )
    return found


def read_processors(connection: duckdb.DuckDBPyConnection, study: str) -> dict[str, int]:
    """Processor -> number of the study's trainings that ran on it, and on no other device; those that are known."""
    asked = (
        "SELECT processor, count(*) FROM stages WHERE study = $study AND current AND device = 'cpu' AND processor <> ''"
        " AND stage_key IN (SELECT stage_key FROM training_curves WHERE study = $study)"
        " GROUP BY processor ORDER BY count(*) DESC, processor"
    )
    return dict(connection.execute(asked, {"study": study}).fetchall())


def processor_lines(processors: Mapping[str, int]) -> list[str]:
    """Where a study was trained: sums of floating-point numbers come out otherwise on another processor."""
    if len(processors) > 1:
        each = "; ".join(f"{count:,} on {name}" for name, count in processors.items())
        return [f"the trainings ran on unlike processors, which alone makes figures differ a little: {each}"]
    return [f"trained on {name}: on another processor the figures differ a little" for name in processors]


def uneven_lines(trained: Mapping[str, Trained], baseline: str, condition: str) -> list[str]:
    """The conditions of equal budget that were trained on other numbers of tokens than this one.

    That is the baseline; where that has no intermediate training, those of the same tasks.
    """
    base, row = trained.get(baseline), trained.get(condition)
    if row is None:
        return []
    if base is not None and base.tokens:
        others = [base]
    else:
        others = [one for one in trained.values() if one is not row and one.tasks == row.tasks]
    return [
        f"{row.condition} and {other.condition} have the same budget and were trained on {row.tokens:,} against "
        f"{other.tokens:,} tokens"
        for other in others
        if row.tokens and other.tokens and row.budgets == other.budgets
        if uneven(row.tokens, other.tokens)
    ]
