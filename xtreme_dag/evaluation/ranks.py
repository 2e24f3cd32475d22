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

from xtreme_dag.evaluation.search import pair_cosines, product_error, row_norms, unit_rows

PRODUCTS_AT_ONCE = 1 << 25


@dataclass(frozen=True, kw_only=True)
class Ranks:
    """Ranks from 1 of the pairs (query, right candidate); equal cosines rank by the candidate's row.

    Attributes:
        pooled: int64 (pairs,), among all candidates.
        own: int64 (pairs,), among the candidates of the right candidate's own group.
        foreign: int64 (pairs,), among the candidates outside the query's group; 0 where the right candidate is in it.
        cosines: float64 (pairs,).
    """

    pooled: NDArray[np.int64]
    own: NDArray[np.int64]
    foreign: NDArray[np.int64]
    cosines: NDArray[np.float64]


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
    """Ranks right candidates by cosine, exactly: near-ties of the single-precision product are decided in double.

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
    left, right = (torch.from_numpy(np.ascontiguousarray(v, dtype=np.float32)).to(place) for v in (queries, candidates))
    left_norms, right_norms = row_norms(left), row_norms(right)
    left_units, right_units = unit_rows(left, left_norms), unit_rows(right, right_norms)
    error = product_error(queries.shape[1], place)
    groups = torch.from_numpy(candidate_groups).to(place)
    members = torch.nn.functional.one_hot(groups, int(max(query_groups.max(), candidate_groups.max())) + 1).to(
        torch.float32
    )
    i, j = torch.from_numpy(query).to(place), torch.from_numpy(candidate).to(place)
    exact = pair_cosines(left, left_norms, i, right, right_norms, j)
    # above[p, g]: candidates of group g that rank before pair p's right one.
    above = torch.zeros(len(i), members.shape[1], dtype=torch.int64, device=place)
    for part in torch.split(torch.arange(len(i), device=place), max(1, PRODUCTS_AT_ONCE // max(1, len(right)))):
        some, which = torch.unique_consecutive(i[part], return_inverse=True)
        products = (left_units[some] @ right_units.T)[which]
        high = torch.nextafter((exact[part] + error).float(), torch.tensor(torch.inf))[:, None]
        low = torch.nextafter((exact[part] - error).float(), torch.tensor(-torch.inf))[:, None]
        surely = products > high
        above[part] = (surely.to(torch.float32) @ members).to(torch.int64)
        row, column = ((products >= low) & ~surely).nonzero(as_tuple=True)
        pair = part[row]
        cosines = pair_cosines(left, left_norms, i[pair], right, right_norms, column)
        before = (cosines > exact[pair]) | ((cosines == exact[pair]) & (column < j[pair]))
        before &= column != j[pair]
        one = torch.ones(int(before.sum()), dtype=torch.int64, device=place)
        above.index_put_((pair[before], groups[column[before]]), one, accumulate=True)
    pooled, ours = above.sum(dim=1), torch.from_numpy(query_groups).to(place)[i]
    pairs = torch.arange(len(i), device=place)
    foreign = torch.where(groups[j] == ours, 0, pooled - above[pairs, ours] + 1)
    return Ranks(
        pooled=(pooled + 1).cpu().numpy(),
        own=(above[pairs, groups[j]] + 1).cpu().numpy(),
        foreign=foreign.cpu().numpy(),
        cosines=exact.cpu().numpy(),
    )
