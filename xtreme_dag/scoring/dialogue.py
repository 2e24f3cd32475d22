"""Dialogue state tracking: joint goal, turn inform, turn request (Mrksic et al. 2017, ACL; CoSDA-ML's figures).

A figure is the share of turns. `joint_goal`: the state accumulated from the predicted turns is the gold state;
`turn_inform`: the turn's informed slots and values are right; `turn_request`: the requested slots are;
`slot_accuracy`: the share of the state's slots that are right (SUMBT's), over the slots that some turn of the data has.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from xtreme_dag.core.dialogue import REQUEST, informed, turn_of
from xtreme_dag.scoring.columns import Columns, Family, FloatArray, Metric, ratio

FAMILY = Family(
    metrics=(
        ratio("joint_goal", "s_joint"),
        ratio("turn_inform", "s_inform"),
        ratio("turn_request", "s_request"),
        ratio("slot_accuracy", "s_slots_right", "s_slots"),
    ),
    primary="joint_goal",
)


def statistics(
    gold: Sequence[Iterable[str]],
    predicted: Sequence[Iterable[str] | None],
    gold_states: Sequence[Mapping[str, str]],
    states: Sequence[Mapping[str, str]],
) -> dict[str, FloatArray]:
    """What is right in each turn.

    Args:
        gold: labels of each turn, see `core.dialogue`.
        predicted: predicted labels of each turn; None, which is wrong throughout, where there is no prediction.
        gold_states: slot -> value after each turn.
        states: the same, accumulated from the predicted turns.

    Returns:
        `s_joint`, `s_inform`, `s_request` (0 or 1), `s_slots_right`, `s_slots` (slots), each (turns,).
    """
    slots = {slot for state in gold_states for slot in state} | {slot for turn in gold for slot in informed(turn)}
    rows = [
        (
            made is not None and state == reached,
            made is not None and _told(right) == _told(made),
            made is not None and _asked(right) == _asked(made),
            made is not None and sum(state.get(slot) == reached.get(slot) for slot in slots),
            len(slots),
        )
        for right, made, state, reached in zip(gold, predicted, gold_states, states, strict=True)
    ]
    values = np.array(rows, dtype=np.float64).reshape(len(rows), len(FAMILY.columns))
    return dict(zip(FAMILY.columns, values.T.copy(), strict=True))


def _told(labels: Iterable[str]) -> set[str]:
    return {label for label in labels if not label.startswith(f"{REQUEST}=")}


def _asked(labels: Iterable[str]) -> set[str]:
    return {label for label in labels if label.startswith(f"{REQUEST}=")}


def turn_slot(name: str, slot: str) -> Metric:
    """The share of turns in which a slot's value is right, or rightly not given: a metric that a task adds."""
    column = f"s_{name}"

    def of_turns(gold: Sequence[str], predicted: Sequence[str | None]) -> Columns:
        pairs = zip(gold, predicted, strict=True)
        right = [
            made is not None and informed(turn_of(known)).get(slot) == informed(turn_of(made)).get(slot)
            for known, made in pairs
        ]
        return {column: np.array(right, dtype=np.float64)}

    return Metric(name=name, columns=(column,), combine=ratio(name, column).combine, is_mean=True, statistics=of_turns)


TURN_FOOD = turn_slot("turn_food", "food")
TURN_PRICE = turn_slot("turn_price", "price range")
TURN_AREA = turn_slot("turn_area", "area")
