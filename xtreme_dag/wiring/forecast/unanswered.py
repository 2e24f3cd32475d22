"""Name what a study plans that cannot give a score: languages that no test has, tests without labels here."""

from __future__ import annotations

import bz2
import gzip
import lzma
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from xtreme_dag.engine.graph import Graph, Source, Stage
from xtreme_dag.study.file import Study
from xtreme_dag.wiring.build import Built
from xtreme_dag.wiring.kinds import ENCODE, EVALUATE, PREPARE

_PEEKED = 1 << 18  # bytes of a file that are looked at
_OPENERS: Mapping[bytes, Callable[..., Any]] = {b"\x1f\x8b": gzip.open, b"BZ": bz2.open, b"\xfd7": lzma.open}
# What follows "answers" in SQuAD's JSON: nothing, or the first character of the first answer's text.
_ANSWERS = re.compile(r'"answers"\s*:\s*\[\s*(?:\]|\{[^{}\[\]]*"text"\s*:\s*"(.?))')


def unanswered(study: Study, built: Built) -> list[str]:
    """What cannot give an answer, a line each."""
    return [*_languages(study, built), *_unlabelled(built.graph)]


def _languages(study: Study, built: Built) -> Iterator[str]:
    """Languages of the study that no target is tested in, and targets that are tested in none of them."""
    tested: dict[str, set[str]] = {task.name: set() for task in built.tasks}
    splits = {task.name: task.test.split for task in built.tasks}
    for stage in built.graph:
        if stage.of is EVALUATE and stage.labels["split"] == splits[str(stage.labels["task"])]:
            tested[str(stage.labels["task"])].add(str(stage.labels["language"]))
    for name, languages in tested.items():
        if not languages:
            yield f"{name} has no test in {' '.join(study.languages) or 'this source'}: it is trained and never tested"
    for code in study.languages:
        if not any(code in languages for languages in tested.values()):
            yield f"no target has a test in {code}"


def _unlabelled(graph: Graph) -> Iterator[str]:
    """Tests that are here without their labels, a line for each dataset; audits alone read others."""
    found: dict[tuple[str, str], list[str]] = {}
    tested = {_table(stage) for stage in graph if stage.of is ENCODE}
    for stage in graph:
        if (
            stage.of is PREPARE
            and stage.labels.get("use") == "test"
            and _table(stage) in tested
            and _lacks_labels(stage)
        ):
            found.setdefault((str(stage.labels["dataset"]), str(stage.labels["split"])), []).append(
                str(stage.labels["language"])
            )
    for (dataset, split), codes in found.items():
        yield f"{dataset} {split} is here without labels in {' '.join(codes)}: evaluations on it give no score"


def _table(stage: Stage) -> tuple[Any, ...]:
    return tuple(stage.labels.get(name) for name in ("dataset", "split", "language"))


def _lacks_labels(stage: Stage) -> bool:
    """Whether a test table has no labels, as far as its layout and the beginning of its file tell."""
    params, options = stage.params, stage.params.get("options", {})
    if not params.get("labelled", True):
        return True
    match params.get("reader"):
        case "pairs":
            return "label" not in options["columns"] and "labels" not in stage.inputs
        case "bucc":
            return "gold" not in stage.inputs
        case "tags":
            lines = [line for line in _beginning(stage).split("\n")[:-1] if line.strip()]
            return bool(lines) and not any("\t" in line for line in lines)
        case "squad":
            answers = _ANSWERS.findall(_beginning(stage))
            return bool(answers) and not any(first not in ("", '"') for first in answers)
    return False


def _beginning(stage: Stage) -> str:
    """The first characters of a stage's first raw file; none if it cannot be read: its own stage says so."""
    source = next((each for each in stage.inputs.values() if isinstance(each, Source)), None)
    if source is None:
        return ""
    path = Path(source.path)
    try:
        with path.open("rb") as raw:
            opener = _OPENERS.get(raw.read(2))
        with (opener or open)(path, "rb") as stream:
            return bytes(stream.read(_PEEKED)).decode("utf-8", "ignore")
    except (OSError, EOFError, lzma.LZMAError):
        return ""
