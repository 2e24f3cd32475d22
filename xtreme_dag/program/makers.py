"""Which other machines made what a plan finds cached: figures depend on the processor, keys do not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from xtreme_dag.engine.mirror import Mirror
from xtreme_dag.engine.plan import CACHED, ON_THE_MIRROR, Plan
from xtreme_dag.engine.provenance import maker, processor
from xtreme_dag.wiring.kinds import KINDS

_SHOWN = 3


def maker_lines(plan: Plan, mirror: Mirror | None) -> Iterator[str]:
    """The makers of what comes from the mirror or was made on another processor; trainings that mirror and home have both.

    Args:
        plan: the plan.
        mirror: where else artifacts may be. Of a training that is here its record there is read: under one key the
            first to come is kept there, and each home keeps its own.
    """
    cached = [planned for planned in plan.stages if planned.status == CACHED]
    others = Counter(one.maker for one in cached if ON_THE_MIRROR in one.reasons or not _alike(one.maker))
    if others:
        yield f"{others.total():,} of the cached stages were made elsewhere: {_listed(others)}"
    if mirror is None:
        return
    trained = {one.key: one for one in cached if KINDS[one.stage.kind].trains and ON_THE_MIRROR not in one.reasons}
    there = mirror.read_all(trained)
    rivals = [key for key, record in there.items() if record.digest != trained[key].digest]
    if rivals:
        first, theirs = trained[rivals[0]], Counter(maker(there[key].manifest) for key in rivals)
        yield (
            f"the mirror has other models under the keys of {len(rivals):,} trainings, as {first.stage.name}: of "
            f"{_listed(theirs)}, which came first; those here are of {_listed(Counter(trained[key].maker for key in rivals))}"
        )


def _alike(made: str) -> bool:
    """Whether a processor like this one's did it, or one that is not known."""
    return made.endswith(f" ({processor()})") or not made.endswith(")")


def _listed(makers: Counter[str]) -> str:
    more = f" and {len(makers) - _SHOWN} more machines" if len(makers) > _SHOWN else ""
    return ", ".join(f"{name} {count:,}" for name, count in makers.most_common(_SHOWN)) + more
