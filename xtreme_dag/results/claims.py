"""Families of claims: which tests of a study are corrected together, the same whatever is shown of them.

The claims of a study are its conditions, tasks and parts of a task's languages (unseen in both conditions, or seen in
one), each against the baseline: Holm's correction is over all of them. The means over tasks are a family of their own,
over the conditions. A language is looked at below a claim that is decided: its p-value is that after Holm over the
claim's languages, and at least the claim's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from xtreme_dag.results.effects import Effect, corrected


class Key(NamedTuple):
    """What an effect is of.

    Attributes:
        task: None for the mean over tasks.
        seen: whether its languages are those that one of the two conditions was trained on for the task.
        language: None for the mean over languages.
    """

    task: str | None
    seen: bool
    language: str | None = None


Effects = Mapping[Key, Effect]
"""All effects of one condition against the baseline: every claim of it, and every language."""


def judged(conditions: Sequence[Effects], untested: int = 0) -> list[dict[Key, Effect]]:
    """The effects of all conditions of a study, corrected.

    Args:
        conditions: uncorrected; one entry for each condition that is compared with the baseline.
        untested: claims about tasks that cannot be computed; they count in the families.
    """
    found = [dict(effects) for effects in conditions]
    for over_tasks in (True, False):
        places = [
            (number, key)
            for number, effects in enumerate(found)
            for key in effects
            if key.language is None and (key.task is None) == over_tasks
        ]
        family = corrected([found[number][key] for number, key in places], untested)
        for (number, key), effect in zip(places, family, strict=True):
            found[number][key] = effect
    for effects in found:
        for claim in [key for key in effects if key.task is not None and key.language is None]:
            keys = [key for key in effects if key[:2] == claim[:2] and key.language is not None]
            for key, effect in zip(keys, corrected([effects[key] for key in keys]), strict=True):
                gate = effects[claim].p_corrected
                effects[key] = replace(effect, p_corrected=max(effect.p_corrected, gate))
    return found


def of_choice(effect: Effect, members: Sequence[Effect]) -> Effect:
    """A mean over claims or languages that somebody chose to see; it is judged by them, not as one claim more.

    What would be found of such a mean hangs on the tests of its members too, so there is no one level to say it at.

    Args:
        effect: uncorrected.
        members: what it is the mean of, corrected. A single one is the effect itself.
    """
    if len(members) == 1:
        return replace(effect, p_corrected=members[0].p_corrected, detectable=members[0].detectable)
    gate = min(one.p_corrected for one in members)
    return replace(effect, p_corrected=max(effect.p, gate), detectable=None, chosen=True)
