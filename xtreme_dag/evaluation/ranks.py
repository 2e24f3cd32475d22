"""The exact rank of every right candidate: in the whole pool, among its own language, and outside the query's.

A pooled multilingual ranking mixes two abilities: finding the answer, and not preferring one's own language (Roy et
al., "LAReQA: Language-agnostic answer retrieval from a multilingual pool", EMNLP 2020). Ranks within parts of the pool
tell them apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xtreme_dag.evaluation.search import row_norms

QUERIES_AT_ONCE = 128
# Cosines that agree to here are equal: copies of a candidate tie, whatever block of the product they fall into.
TIE_DECIMALS = 12


@dataclass(frozen=True, kw_only=True)
class Ranks:
    """Ranks from 1 of the pairs (query, right candidate); equal cosines rank by the candidate's row.

    Attributes:
        pooled: int64 (pairs,), among all candidates.
        own: int64 (pairs,), among the candidates of the right candidate's own group.
        foreign: int64 (pairs,), among the candidates outside the query's group; 0 where the right candidate is in it.
    """

    pooled: NDArray[np.int64]
    own: NDArray[np.int64]
    foreign: NDArray[np.int64]


def right_ranks(
    queries: NDArray[np.float32],
    candidates: NDArray[np.float32],
    query: NDArray[np.int64],
    candidate: NDArray[np.int64],
    *,
    query_groups: NDArray[np.int64],
    candidate_groups: NDArray[np.int64],
    device: str | torch.device = "cpu",
) -> Ranks:
    """Ranks right candidates by cosine in double precision, without sorting the other candidates.

    Args:
        queries: float32 (queries, width).
        candidates: float32 (candidates, width).
        query: (pairs,), row of each pair's query, not falling.
        candidate: (pairs,), row of each pair's right candidate.
        query_groups: (queries,), the group (language) of each query, from 0.
        candidate_groups: (candidates,), the group of each candidate, from 0.
        device: where the products are computed.
    """
    place = torch.device(device)
    left, right = (_units(values, place) for values in (queries, candidates))
    groups = torch.from_numpy(candidate_groups).to(place)
    kinds = int(max(query_groups.max(), candidate_groups.max())) + 1
    member = torch.nn.functional.one_hot(groups, kinds).float()
    i, j = torch.from_numpy(query).to(place), torch.from_numpy(candidate).to(place)
    # above[p, g]: candidates of group g that rank before pair p's right one.
    above = torch.zeros(len(i), kinds, dtype=torch.int64, device=place)
    bounds = torch.searchsorted(i, torch.arange(len(left) + 1, device=place)).tolist()
    for low in range(0, len(left), QUERIES_AT_ONCE):
        high = min(low + QUERIES_AT_ONCE, len(left))
        pairs = slice(bounds[low], bounds[high])
        if pairs.start < pairs.stop:
            similar = torch.round(left[low:high] @ right.T, decimals=TIE_DECIMALS)
            above[pairs] = _above(similar, i[pairs] - low, j[pairs], member)
    pooled, ours = above.sum(dim=1), torch.from_numpy(query_groups).to(place)[i]
    number = torch.arange(len(i), device=place)
    foreign = torch.where(groups[j] == ours, 0, pooled - above[number, ours] + 1)
    return Ranks(
        pooled=(pooled + 1).cpu().numpy(),
        own=(above[number, groups[j]] + 1).cpu().numpy(),
        foreign=foreign.cpu().numpy(),
    )


def _units(values: NDArray[np.float32], device: torch.device) -> Tensor:
    """Rows of length 1 in double precision; a zero row stays zero."""
    rows = torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32)).to(device)
    norms = row_norms(rows)
    return rows.to(torch.float64) / torch.where(norms > 0, norms, 1.0)[:, None]


def _above(similar: Tensor, i: Tensor, j: Tensor, member: Tensor) -> Tensor:
    """Candidates of each group before each pair's right one: int64 (pairs, groups).

    Args:
        similar: float64 (queries, candidates).
        i: (pairs,), query, not falling.
        j: (pairs,), right candidate.
        member: float32 (candidates, groups), 1 where a candidate is of a group.
    """
    above = torch.empty(len(i), member.shape[1], dtype=torch.int64, device=i.device)
    row = torch.arange(similar.shape[1], device=i.device)
    for start in range(0, len(i), len(similar)):
        pairs = slice(start, start + len(similar))
        cosines, right = similar[i[pairs]], j[pairs, None]
        own = cosines.gather(1, right)
        before = (cosines > own) | ((cosines == own) & (row < right))
        above[pairs] = (before.to(member.dtype) @ member).long()  # counts below 2**24 are exact
    return above
