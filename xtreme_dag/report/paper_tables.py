"""Tables for a paper: leaderboard, comparison, languages, learning curves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from xtreme_dag.report.content import Content, Row
from xtreme_dag.report.table_forms import MARKS, Cell, Figure, Table
from xtreme_dag.results.effects import LEVEL, Effect

# What a decided difference is marked with, and how that is said.
_MARKS = {"better": "up", "worse": "down"}


def leaderboard(content: Content, digits: int = 1, spread: bool = False) -> Table:
    """Conditions by tasks: the mean over languages and seeds, the baseline first; best in bold.

    Args:
        content: what was read of the study.
        digits: decimals by which the best are told apart.
        spread: whether the standard deviation over seeds stands beside each mean.
    """
    tasks = [str(row["task"]) for row in content.tasks]
    decided = {(one.condition, effect.task): effect for one in content.comparisons for effect in one.tasks}
    overall = {one.condition: one.overall for one in content.comparisons}
    shown = [row for row in content.conditions if row["average"] is not None]
    columns = {task: [row["tasks"].get(task) for row in shown] for task in tasks}
    averages = [row["average"] for row in shown]
    rows: list[tuple[Cell, ...]] = []
    for row in shown:
        name = row["condition"]
        cells: list[Cell] = [name]
        figures = {
            **{task: (row["tasks"].get(task), columns[task], decided.get((name, task))) for task in tasks},
            "average": (row["average"], averages, overall.get(name)),
        }
        for task, (value, column, effect) in figures.items():
            deviation = row["seed_sd"].get(task) if spread else None
            cells.append(
                Figure(value=value, spread=deviation, best=_is_best(value, column, digits), mark=_mark(effect))
            )
        rows.append(tuple(cells))
    said = (
        f"Scores on the {content.split} split (0-100), means over languages and {_seeds(content)}{_deviation(rows)}"
        "; best in bold"
        + (
            ", several where they are equal"
            if any(_ties(values, digits) for values in (*columns.values(), averages))
            else ""
        )
        + _meaning(content, rows, "in the languages that neither side was trained on for the task")
    )
    metrics = "; ".join(f"{row['task']}: {row['metric']}" for row in content.tasks)
    return Table(
        name="leaderboard",
        caption=f"{said}. Metrics: {metrics}.",
        heads=("condition", *tasks, "average"),
        rows=tuple(rows),
    )


def comparison(content: Content, digits: int = 1) -> Table:
    """Each condition against the baseline: by task, and over the tasks, with intervals and corrected p-values.

    Nothing of it is a best, so that `digits` does not count.
    """
    rows: list[tuple[Cell, ...]] = []
    for one in content.comparisons:
        for effect in one.rows:
            rows.append(
                (
                    one.title,
                    effect.task or "all tasks",
                    effect.part,
                    Figure(value=effect.baseline_value),
                    Figure(value=effect.value),
                    Figure(
                        value=effect.delta, low=effect.low, high=effect.high, signed=True, mark=_mark(effect)
                    ),
                    Figure(value=effect.p_corrected, digits=4),
                )
            )  # fmt: skip
    level = f"{content.comparisons[0].confidence:.0%}" if content.comparisons else "95%"
    caption = (
        f"Conditions against {content.study['baseline']} on the {content.split} split: differences in points with "
        f"{level} intervals, means over {_seeds(content)}; p after Holm's correction over the study's claims. Unseen: "
        "languages that neither side was trained on for the task; seen: those that one was"
        + _meaning(content, rows, "")
    )
    return Table(
        name="compare",
        caption=f"{caption}.",
        heads=("condition", "task", "languages", "baseline", "score", "difference", "p"),
        rows=tuple(rows),
    )


def per_language(content: Content, digits: int = 1) -> Table:
    """Tasks and languages by conditions: means over seeds, +- their standard deviation; best in bold."""
    names = [str(row["condition"]) for row in content.conditions if row["average"] is not None]
    cells: dict[tuple[str, str], dict[str, Row]] = {}
    for cell in content.cells:
        cells.setdefault((cell["task"], cell["language"]), {})[cell["condition"]] = cell
    rows: list[tuple[Cell, ...]] = []
    for (task, language), found in cells.items():
        values = [found[name]["value"] if name in found else None for name in names]
        figures = [
            Figure(
                value=found[name]["value"],
                spread=found[name]["seed_sd"],
                best=_is_best(found[name]["value"], values, digits),
                mark=_MARKS.get(found[name]["verdict"], ""),
            )
            if name in found
            else Figure(value=None)
            for name in names
        ]
        rows.append((task, language, *figures))
    caption = (
        f"Scores on the {content.split} split (0-100) by language: means over {_seeds(content)}"
        f"{_deviation(rows)}; best in bold" + _meaning(content, rows, "")
    )
    return Table(name="per-language", caption=f"{caption}.", heads=("task", "language", *names), rows=tuple(rows))


def _deviation(rows: Sequence[Sequence[Cell]]) -> str:
    """What stands behind the +- of a table, if it has any."""
    has = any(isinstance(cell, Figure) and cell.spread is not None for row in rows for cell in row)
    return ", $\\pm$ standard deviation over seeds" if has else ""


def learning_curves(content: Content, digits: int = 1) -> Table:
    """Tasks, languages and curves by the number of examples in the language: means over seeds with intervals."""
    counts = sorted({row["examples"] for row in content.learning})
    found: dict[tuple[str, str, str], dict[int, Figure]] = {}
    for row in content.learning:
        points = found.setdefault((row["task"], row["language"], row["curve"]), {})
        # Conditions with equally many examples in a language differ in those of others: the first stands.
        points.setdefault(row["examples"], Figure(value=row["value"], low=row["low"], high=row["high"]))
    rows: list[tuple[Cell, ...]] = [
        (*of, *(points.get(count, Figure(value=None)) for count in counts)) for of, points in found.items()
    ]
    caption = (
        f"Scores on the {content.split} split (0-100) by the number of a language's own examples in target training: "
        f"means over {_seeds(content)}"
        + (", with 95% intervals by Student's t over the seeds" if any(row["low"] is not None for row in content.learning) else "")
    )  # fmt: skip
    heads = ("task", "language", "curve", *(f"{count:,}" for count in counts))
    return Table(name="learning-curves", caption=f"{caption}.", heads=heads, rows=tuple(rows))


# name -> (what was read, decimals by which the best are told apart) -> the table
TABLES: Mapping[str, Callable[[Content, int], Table]] = {
    "leaderboard": leaderboard,
    "compare": comparison,
    "per-language": per_language,
    "learning-curves": learning_curves,
}


def _mark(effect: Effect | None) -> str:
    return "" if effect is None else _MARKS.get(effect.verdict, "")


def _is_best(value: float | None, column: Sequence[float | None], digits: int) -> bool:
    """Whether no other is better by what is printed."""
    return (
        value is not None
        and len(column) > 1
        and round(value, digits) == max(round(one, digits) for one in column if one is not None)
    )


def _ties(column: Sequence[float | None], digits: int) -> bool:
    return sum(_is_best(value, column, digits) for value in column) > 1


def _seeds(content: Content) -> str:
    count = len(content.study["seeds"]) or max(row["seeds"] for row in content.tasks)
    return "one seed" if count == 1 else f"{count} seeds"


def _meaning(content: Content, rows: Sequence[Sequence[Cell]], where: str) -> str:
    """What the marks of a table mean, if it has any, and otherwise that no difference is decided."""
    if not content.comparisons:
        return ""
    marks = {cell.mark for row in rows for cell in row if isinstance(cell, Figure) and cell.mark}
    said = f"{where}, at the {LEVEL:.0%} level after Holm's correction".lstrip(", ")
    if not marks:
        return f"; no difference to {content.study['baseline']} is decided {said}"
    signs = " and ".join(f"{{{mark}}} {MARKS[mark]}" for mark in ("up", "down") if mark in marks)
    return f"; {signs} than {content.study['baseline']} {said}"
