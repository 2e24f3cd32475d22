"""Files of rankings: id -> list of candidates, the best first; labels are id -> list of the right ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from xtreme_dag.core.errors import UserError
from xtreme_dag.formats.declaration import Columns, Judged
from xtreme_dag.formats.judging import blanked, doubled, ids_warnings, nothing_shared, some
from xtreme_dag.formats.layout import Unlabelled, as_json, read_mapping


def predictions(rows: Columns, asked: Columns) -> str:
    """A file of ranked candidates."""
    return as_json(dict(zip(rows["id"], rows["candidates"], strict=True)))


def gold(asked: Columns) -> str:
    """A file of right candidates."""
    right = asked["gold"]
    if not all(right):
        raise Unlabelled
    return as_json(dict(zip(asked["id"], right, strict=True)))


def gold_lists(labels: Path) -> tuple[dict[str, list[str]], list[str]]:
    """The right candidates of each id, and warnings.

    Raises:
        UserError: a label is not a list of ids, or there are none.
    """
    found, twice = read_mapping(labels)
    some(found, labels)
    for key, right in found.items():
        if not isinstance(right, list) or not right or not all(isinstance(name, str) for name in right):
            raise UserError(f"the label of {key!r} is not a list of ids", where=str(labels))
    return found, [*blanked([right[0] for right in found.values()], labels), *doubled(labels, twice)]


def judge_ranking(right: Mapping[str, Sequence[str]], labels: Path, predicted: Path, warnings: Sequence[str]) -> Judged:
    """Holds a prediction file against the right candidates of each id, which were read from a label file.

    Raises:
        UserError: a prediction is neither a list nor a text.
    """
    from xtreme_dag.scoring import ranking

    given, twice = read_mapping(predicted)
    odd = next((key for key in right if not isinstance(given.get(key, []), list | str)), None)
    if odd is not None:
        raise UserError(f"the prediction for {odd!r} is not a list of ids", where=str(predicted))
    texts = sum(isinstance(given.get(key), str) for key in right)
    # What is not a text equals no id.
    ranked = [[name if isinstance(name, str) else None for name in given.get(key, [])] for key in right]
    wanted, named = (
        list(dict.fromkeys(name for names in lists for name in names if name is not None))
        for lists in (right.values(), ranked)
    )
    return Judged(
        ids=list(right),
        gold=[" ".join(names) for names in right.values()],
        predictions=[
            " ".join(name or "" for name in names) if key in given else None
            for key, names in zip(right, ranked, strict=True)
        ],
        statistics=ranking.statistics([set(names) for names in right.values()], ranked),
        warnings=[
            *warnings,
            *ids_warnings(list(right), given, twice, predicted),
            *(
                [f"{predicted}: {texts} predictions are a text, not a list; they score 0"]
                if texts
                else nothing_shared(wanted, named, labels, predicted)
            ),
        ],
    )
