"""Draw the examples of a mixture: how many of each dataset and language, and which ones.

Counts follow from sizes and a sampling rule. Which examples they are follows from the seed and the examples' ids
alone, so that the draw of a language is a prefix of one fixed order: a smaller draw is a subset of a larger one, and
the English part of a mixed condition is a subset of the English condition at the same budget.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from xtreme_dag.core.english import ENGLISH
from xtreme_dag.core.errors import UserError
from xtreme_dag.study.settings import Settings, within

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Ints = npt.NDArray[np.int64]
    Floats = npt.NDArray[np.float64]
# numpy is imported where arrays are made: the plan of a finished study makes none.

ITEMS = ("disjoint", "parallel", "independent")


class Sampling(Settings):
    """How a budget is divided.

    Attributes:
        rule: `proportional` to size; `temperature`: to size ** (1 / temperature); `uniform`; `shares` as given.
        temperature: 1 (the default) is proportional, infinite is uniform.
        cap: sizes count at most this much (Raffel et al. 2020; 2^17 in Phang et al. 2020), None for no cap.
    """

    rule: Literal["proportional", "temperature", "uniform", "shares"] = "proportional"
    temperature: (
        Annotated[float, Field(gt=0, allow_inf_nan=True), within(lambda value: value == value, "a number")] | None
    ) = None
    cap: Annotated[int, Field(gt=0)] | None = None

    def params(self) -> dict[str, Any]:
        """What is stated, as the training stage reads it."""
        return {"rule": self.rule, **self.model_dump(exclude_none=True, exclude={"rule"})}

    def weights(self, sizes: Sequence[int], shares: Sequence[float | None], *, where: str) -> Floats:
        """The share of each part, summing to 1.

        Args:
            sizes: examples that each part has.
            shares: stated shares, used (and needed) by the rule `shares` alone.
            where: for messages.
        """
        import numpy as np

        if self.rule == "shares":
            return stated_shares(shares, where=where)
        capped = np.minimum(np.array(sizes, dtype=np.float64), self.cap if self.cap is not None else np.inf)
        if self.rule == "uniform":
            capped = np.ones(len(sizes))
        if self.rule == "temperature":
            capped = capped ** (1.0 / (self.temperature or 1.0))
        total = float(capped.sum())
        if not total:
            raise UserError("there are no examples to draw from", where=where)
        return np.asarray(capped / total)


def stated_shares(shares: Sequence[float | None], *, where: str) -> Floats:
    """Shares as given; a single part needs none."""
    import numpy as np

    if len(shares) == 1 and shares[0] is None:
        return np.ones(1)
    missing = [number for number, share in enumerate(shares) if share is None]
    if missing:
        raise UserError(f"part {missing[0] + 1} has no share", where=where, fix="state a share for every part")
    values = np.array([float(share or 0) for share in shares])
    if (values <= 0).any() or abs(values.sum() - 1) > 1e-6:
        raise UserError(f"the shares {values.tolist()} sum to {values.sum():g}, not to 1", where=where)
    return np.asarray(values / values.sum())


def apportion(total: int, weights: Floats) -> Ints:
    """Whole numbers that sum to `total`, each within one of its share (largest remainders; ties to the first)."""
    import numpy as np

    exact = total * weights
    counts = np.floor(exact + 1e-9).astype(np.int64)
    missing = total - int(counts.sum())
    order = np.argsort(-(exact - counts), kind="stable")
    counts[order[:missing]] += 1
    return counts


def draw_order(ids: Sequence[str], *, seed: int, dataset: str, language: str, items: str) -> Ints:
    """Row numbers in the order in which a dataset's examples of one language are drawn.

    The place of an example depends on the seed, the dataset and its id, not on the language (unless `independent`)
    nor on what else is there: examples with equal ids in two languages, translations of each other, have equal places.
    """
    import numpy as np

    salt = "" if items != "independent" or language == ENGLISH else language
    head = f"{seed}\0{dataset}\0{salt}\0".encode()
    keys = np.array([hashlib.blake2b(head + name.encode(), digest_size=8).digest() for name in ids], dtype="S8")
    return np.lexsort((np.arange(len(ids)), keys))


def languages_in_draw_order(languages: Sequence[str]) -> list[int]:
    """Positions of the parts in the order in which they draw: English first, then as stated."""
    return sorted(range(len(languages)), key=lambda part: (languages[part] != ENGLISH, part))


def _too_few(unit: str, wanted: int, there: int, elsewhere: int, where: str) -> UserError:
    """A budget beyond the data."""
    beside = f" beside the {elsewhere:,} items that other languages have" if elsewhere else ""
    items = "set items: parallel for the same items in every language, " if elsewhere else ""
    return UserError(
        f"the budget asks for {wanted:,} {unit} and there are {there:,}{beside}",
        where=where,
        fix=f"lower the budget, change the shares, {items}or set repeat: true to draw examples more than once",
    )


def draw_by_count(order: Ints, count: int, *, repeat: bool, where: str, elsewhere: int = 0) -> Ints:
    """The first `count` rows of an order; more than there are only where repetition was asked for.

    Args:
        order: rows.
        count: how many.
        repeat: whether a row may come again.
        where: for messages.
        elsewhere: how many items other languages have drawn, so that they are not in the order; for messages.

    Raises:
        UserError: there are too few.
    """
    import numpy as np

    if count > len(order) and not repeat:
        raise _too_few("examples", count, len(order), elsewhere, where)
    if not len(order) and count:
        raise UserError("there are no examples to draw from", where=where)
    full, rest = divmod(count, len(order)) if len(order) else (0, 0)
    return np.concatenate([*[order] * full, order[:rest]])


def draw_by_tokens(order: Ints, lengths: Ints, tokens: int, *, repeat: bool, where: str, elsewhere: int = 0) -> Ints:
    """The longest prefix of an order whose examples have at most `tokens` tokens together; see `draw_by_count`."""
    import numpy as np

    cumulative = np.cumsum(lengths[order])
    available = int(cumulative[-1]) if len(order) else 0
    if tokens > available and not repeat:
        raise _too_few("tokens", tokens, available, elsewhere, where)
    if not available:
        raise UserError("there are no tokens to draw from", where=where)
    full, rest = divmod(tokens, available)
    return np.concatenate([*[order] * full, order[: int(np.searchsorted(cumulative, rest, side="right"))]])
