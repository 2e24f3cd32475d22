"""The tables of docs/findings.md, made of the figures that are kept of a finished study.

`python docs/_site/findings.py HOME STUDY [--languages]` reads the study's results in a home, keeps their figures as
`docs/findings/STUDY.json` and prints the tables; a test holds the page against the kept file.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs" / "findings"

# Mean over seeds, then over languages; English apart, as the language that target tasks are trained in.
SCORES = """
SELECT task, metric, condition, count(*) AS languages, min(seeds) AS seeds,
       round(avg(value) FILTER (language = 'en'), 6) AS english,
       round(avg(value) FILTER (language <> 'en'), 6) AS others
FROM (SELECT task, metric, condition, language, avg(value) AS value, count(DISTINCT seed) AS seeds
      FROM scores WHERE study = $study AND split = 'test' AND is_primary GROUP BY ALL)
GROUP BY ALL ORDER BY ALL
"""
# All metrics, language by language.
LANGUAGES = """
SELECT task, language, metric, condition, round(avg(value), 6) AS value
FROM scores WHERE study = $study AND split = 'test' GROUP BY ALL ORDER BY ALL
"""
COSTS = """
SELECT kind, count(*) AS stages, round(sum(seconds), 1) AS seconds
FROM stages WHERE study = $study AND current GROUP BY ALL ORDER BY ALL
"""
WARNINGS = """
SELECT task, warning, count(DISTINCT (condition, language, seed)) AS evaluations
FROM evaluation_warnings WHERE study = $study AND split = 'test' GROUP BY ALL ORDER BY ALL
"""
_EFFECT = ("task", "part", "value", "baseline_value", "delta", "low", "high", "p_corrected", "verdict", "detectable")


def kept(home: Path, study: str, *, languages: bool = False) -> dict[str, Any]:
    """The figures of a study that has landed in a home: scores, comparisons, levels, seconds by kind of stage, warnings; with
    `languages` all metrics by language.
    """
    from xtreme_dag.core.home import Home
    from xtreme_dag.results.compare import compare_conditions
    from xtreme_dag.results.levels import levels
    from xtreme_dag.results.query import reader

    found: dict[str, Any] = {"study": study}
    asked = {"scores": SCORES, "costs": COSTS, "warnings": WARNINGS} | ({"languages": LANGUAGES} if languages else {})
    with reader(Home(home), predictions=False) as connection:
        for name, sql in asked.items():
            found[name] = connection.sql(sql, params={"study": study}).to_arrow_table().to_pylist()
    found["comparisons"] = [
        {
            "condition": one.title,
            "baseline": one.baseline,
            "sentence": one.sentence,
            "effects": [{name: _rounded(getattr(row, name)) for name in _EFFECT} for row in one.rows],
        }
        for one in compare_conditions(Home(home), study=study)
    ]
    found["levels"] = [one.to_json() for one in levels(Home(home), study=study)[1]]
    return found


def _rounded(value: Any) -> Any:
    return round(value, 6) if isinstance(value, float) else value


def tables(found: Mapping[str, Any]) -> dict[str, str]:
    """Name of a table -> Markdown: `scores`, `effects` of the first comparison, `means` of all, `costs`; `levels` and `languages`
    if they are kept.
    """
    scores: Sequence[Mapping[str, Any]] = found["scores"]
    conditions = list(dict.fromkeys([found["comparisons"][0]["baseline"], *(row["condition"] for row in scores)]))
    cells = {(row["task"], row["condition"]): row for row in scores}
    first = found["comparisons"][0]
    return {
        "scores": _markdown(
            ["task", "languages", *conditions],
            (
                [task, str(cells[task, conditions[0]]["languages"]), *(_both(cells[task, name]) for name in conditions)]
                for task in dict.fromkeys(row["task"] for row in scores)
            ),
        ),
        "effects": _markdown(
            ["task", "languages", first["baseline"], first["condition"], "difference", "95 % interval", "corrected p",
             "would be found"],
            (_effect(row) for row in first["effects"]),
        ),
        "means": _markdown(
            ["condition", "languages", "difference", "95 % interval", "corrected p"],
            (
                [one["condition"], row["part"], f"{row['delta']:+.1f}", _interval(row), _p(row)]
                for one in found["comparisons"]
                for row in _overall(one["effects"])
            ),
        ),
        "costs": _markdown(
            ["stages of a kind", "how many", "seconds"],
            ([row["kind"], str(row["stages"]), f"{row['seconds']:,.0f}"] for row in found["costs"]),
        ),
        **({"levels": _levels(found["levels"], conditions)} if "levels" in found else {}),
        **({"languages": _languages(found["languages"], conditions)} if "languages" in found else {}),
    }  # fmt: skip


def _overall(effects: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The means over the tasks; of a study with one task its own rows."""
    return [row for row in effects if row["task"] is None] or list(effects)


def _levels(rows: Sequence[Mapping[str, Any]], conditions: Sequence[str]) -> str:
    """The score, and the interval of how far it lies above the constant answer; bold where it is above."""
    cells = {(row["task"], row["part"], row["condition"]): _level(row) for row in rows}
    places = dict.fromkeys((row["task"], row["part"]) for row in rows)
    return _markdown(
        ["task", "languages", *conditions],
        ([*place, *(cells.get((*place, name), "-") for name in conditions)] for place in places),
    )


def _level(row: Mapping[str, Any]) -> str:
    score = f"**{row['value']:.1f}**" if row["above"] else f"{row['value']:.1f}"
    return f"{score} ({_interval(row)})"


def _languages(rows: Sequence[Mapping[str, Any]], conditions: Sequence[str]) -> str:
    """Every metric in every language, by condition."""
    cells = {(row["task"], row["language"], row["metric"], row["condition"]): f"{row['value']:.1f}" for row in rows}
    places = dict.fromkeys((row["task"], row["language"], row["metric"]) for row in rows)
    return _markdown(
        ["task", "language", "metric", *conditions],
        ([*place, *(cells.get((*place, name), "-") for name in conditions)] for place in places),
    )


def _effect(row: Mapping[str, Any]) -> list[str]:
    task = row["task"] or "all tasks"
    reach = "" if row["detectable"] is None else f"{row['detectable']:.1f}"
    figures = [f"{row['baseline_value']:.1f}", f"{row['value']:.1f}", f"{row['delta']:+.1f}"]
    return [task, row["part"], *figures, _interval(row), _p(row), reach]


def _interval(row: Mapping[str, Any]) -> str:
    return f"{row['low']:+.1f} to {row['high']:+.1f}"


def _p(row: Mapping[str, Any]) -> str:
    return f"{row['p_corrected']:.3f}" if row["p_corrected"] >= 0.001 else "< 0.001"


def _both(row: Mapping[str, Any]) -> str:
    """English, then the mean of the others; a dash where a task has none."""
    return " / ".join("-" if row[name] is None else f"{row[name]:.1f}" for name in ("english", "others"))


def _markdown(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    rule = "|" + "---|" * len(heads)
    return "\n".join([_line(heads), rule, *map(_line, rows)])


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    _home, _study, *_more = sys.argv[1:]
    FOLDER.mkdir(exist_ok=True)
    _found = kept(Path(_home), _study, languages=_more == ["--languages"])
    (FOLDER / f"{_study}.json").write_text(json.dumps(_found, indent=1) + "\n", encoding="utf-8")
    for _name, _text in tables(_found).items():
        print(f"{_name}:\n{_text}\n")
