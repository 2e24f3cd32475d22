"""Which tokens masked language modelling hides: a pure function of (seed, step) and the batch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from xtreme_dag.core.errors import UserError
from xtreme_dag.training.pools import HostBatch, Pool

IGNORED = -100
# Of the chosen tokens, the share that becomes the mask token and the share that becomes a random one (Devlin et al.
# 2019); the rest stays as it is.
_MASKED, _RANDOM = 0.8, 0.1


@dataclass(frozen=True, kw_only=True)
class Masking:
    """How tokens are hidden.

    Attributes:
        mask: id of the mask token.
        special: ids that are never hidden.
        vocabulary: number of ids, for random replacements.
        probability: share of tokens that is predicted.
    """

    mask: int
    special: tuple[int, ...]
    vocabulary: int
    probability: float

    def apply(self, batch: HostBatch, seed: int, step: int) -> HostBatch:
        """The batch with hidden tokens and per-token gold `labels` (the token's id, or -100 where it is not asked).

        Where the text says which tokens are masked (response masking), those are, always, and no others.
        """
        if "masked" in batch.token_gold:
            given = batch.token_gold["masked"] != 0
            asked: npt.NDArray[np.int32] = np.where(given, batch.ids, np.int32(IGNORED))
            return batch.with_tokens(np.where(given, np.int32(self.mask), batch.ids), labels=asked)
        random = np.random.default_rng([seed, step])
        size = len(batch.ids)
        chosen = (random.random(size) < self.probability) & ~np.isin(batch.ids, self.special)
        fate = random.random(size)
        other = random.integers(self.vocabulary, size=size, dtype=np.int32)
        hidden = np.where(chosen & (fate < _MASKED), np.int32(self.mask), batch.ids)
        hidden = np.where(chosen & (fate >= _MASKED) & (fate < _MASKED + _RANDOM), other, hidden)
        labels: npt.NDArray[np.int32] = np.where(chosen, batch.ids, np.int32(IGNORED))
        return batch.with_tokens(hidden, labels=labels)


def masking_for(pool: Pool, probability: float) -> Masking:
    """The masking of a pool's tokenizer."""
    info = pool.parts[0].table.info
    special = info["special_ids"]
    if "mask" not in special:
        raise UserError("the tokenizer has no mask token, masked language modelling needs one", where=pool.name)
    return Masking(
        mask=special["mask"],
        special=tuple(sorted(special.values())),
        vocabulary=info["vocabulary_size"],
        probability=probability,
    )
