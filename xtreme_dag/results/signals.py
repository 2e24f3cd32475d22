"""Signals that a stage's outcome means little: a degenerate model, or data that it could not read.

They are read from what a stage has written, so that they are in no key and hold for cached and imported artifacts
alike. `docs/results.md` gives each bound with its reason.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xtreme_dag.core.errors import UserError

SEVERAL = 10
"""Fewer examples can have one answer by chance."""
LABEL_SHARE, LABEL_COUNT = 0.05, 20
"""A label that is this share of the gold answers and occurs this often should be predicted at least once."""
LEVEL = 0.05
_Z = 1.645  # of the one-sided 5 % test that accuracy is above what the most frequent answer gets
_RIGHT = (
    ("s_tokens_correct", "s_tokens"),
    ("s_correct",),
)  # columns that count what is right, of words and of examples
FALL, STEPS, LITTLE = 0.02, 20, 0.1
"""How far a loss falls at least, as a share; steps below which it is not judged, and a loss that need not fall."""
UNKNOWN = 0.05
"""The largest share of unknown tokens."""
TRUNCATED = 0.1
"""The largest share of sequences that were cut."""

CONSTANT, NEVER, CHANCE, FLAT = "one answer", "label never predicted", "at chance", "loss does not fall"
UNREAD, CUT = "unknown tokens", "truncated"
DEGENERATE = (CONSTANT, NEVER, CHANCE, FLAT, UNREAD)
"""The signals with which a difference that is not found is no null result."""


@dataclass(frozen=True, kw_only=True)
class Signal:
    """One thing that is wrong.

    Attributes:
        name: which, one of the names above.
        message: what was found, in words.
        value: the figure that was found.
        bound: the figure that it was held against.
    """

    name: str
    message: str
    value: float
    bound: float


def signals_of(folder: Path) -> tuple[Signal, ...]:
    """The signals of one artifact: of an evaluation, a training or an encoded table; none of any other.

    Args:
        folder: the artifact.

    Raises:
        UserError: what it says of itself cannot be read.
    """
    readers = {"encode.json": _of_encoding, "training.json": _of_training, "predictions.parquet": _of_predictions}
    return tuple(signal for name, read in readers.items() if (folder / name).is_file() for signal in read(folder))


def _of_encoding(folder: Path) -> Iterator[Signal]:
    info = _json(folder / "encode.json")
    unknown, cut = info.get("unknown_share", 0.0), info.get("truncated", 0) / max(1, info.get("sequences", 0))
    if unknown > UNKNOWN:
        yield Signal(name=UNREAD, message=f"{unknown:.1%} of the tokens are unknown", value=unknown, bound=UNKNOWN)
    if cut > TRUNCATED:
        yield Signal(name=CUT, message=f"{cut:.1%} of the sequences are cut", value=cut, bound=TRUNCATED)


def _of_training(folder: Path) -> Iterator[Signal]:
    """The loss of the first fifth of the steps against that of the last; shuffled labels need not be learnt."""
    report = _json(folder / "training.json")
    curve: Sequence[float] = report.get("loss_curve", ())
    if report.get("control") or report.get("steps_done", 0) < STEPS or len(curve) < STEPS:
        return
    part = len(curve) // 5
    first, last = sum(curve[:part]) / part, sum(curve[-part:]) / part
    if first > LITTLE and not last <= (1 - FALL) * first:
        message = f"the loss is {first:.3f} in the first fifth of the steps and {last:.3f} in the last"
        yield Signal(name=FLAT, message=message, value=last, bound=(1 - FALL) * first)


def _of_predictions(folder: Path) -> Iterator[Signal]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(folder / "predictions.parquet") as file:
        right = next((pair for pair in _RIGHT if set(pair) <= set(file.schema_arrow.names)), ())
        if file.metadata.num_rows < SEVERAL:
            return
        table = file.read(columns=["gold", "prediction", *right], use_threads=False)
    answers = _counted(table["prediction"])
    given = _by_word(answers)
    if len(answers) == 1 or len(given) == 1:
        shown = next(iter(answers if len(answers) == 1 else given))
        yield Signal(name=CONSTANT, message=f"every prediction is {shown[:40]!r}", value=1.0, bound=2.0)
    gold = _counted(table["gold"])
    if tagged := "s_tokens" in right:
        gold = _by_word(gold)
    # Gold answers that are all equal are blanked or unknown ones: nothing can be said about labels.
    if not right or len(gold) < 2:
        return
    number = sum(gold.values())
    for label, count in gold.most_common() if len(given) > 1 else ():
        if label not in (given if tagged else answers) and count >= max(LABEL_COUNT, LABEL_SHARE * number):
            message = f"{label[:40]!r}, {count / number:.0%} of the gold answers, is never predicted"
            yield Signal(name=NEVER, message=message, value=0.0, bound=1.0)
    reached, most = _sum(table[right[0]]) / number, gold.most_common(1)[0][1] / number
    # Words of a sentence are not independent, so taggers are held against that figure itself, without a test.
    bound = most if tagged else most + _Z * math.sqrt(most * (1 - most) / number)
    if reached <= bound:
        message = f"accuracy {reached:.1%}, where the most frequent answer gets {most:.1%}"
        yield Signal(name=CHANCE, message=message, value=reached, bound=bound)


def _counted(column: Any) -> Counter[str]:
    """How often each answer is given; none at all is an empty one."""
    import pyarrow.compute as pc

    return Counter(
        {entry["values"] or "": entry["counts"] for entry in pc.value_counts(column.drop_null()).to_pylist()}
    )


def _by_word(answers: Counter[str]) -> Counter[str]:
    """How often each word occurs in answers, which for taggers are the tags of a sentence."""
    found: Counter[str] = Counter()
    for answer, count in answers.items():
        for word in answer.split(" "):
            found[word] += count
    return found


def _sum(column: Any) -> float:
    """The sum of a column where it is known."""
    import pyarrow.compute as pc

    return float(pc.sum(pc.if_else(pc.is_nan(column), 0.0, column)).as_py() or 0.0)


def _json(path: Path) -> Mapping[str, Any]:
    try:
        content: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        fix = "xtreme-dag verify, then run again"
        raise UserError(f"{path.name} cannot be read", where=str(path.parent), fix=fix) from None
    return content
