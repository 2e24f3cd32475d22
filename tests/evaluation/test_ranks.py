"""Ranks of right candidates against a full sort in double precision."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from xtreme_dag.evaluation import ranks
from xtreme_dag.evaluation.ranks import right_ranks


def by_sorting(queries, candidates, pairs, query_groups, candidate_groups):
    q, c = (
        v.astype(np.float64) / np.linalg.norm(v.astype(np.float64), axis=1, keepdims=True)
        for v in (queries, candidates)
    )
    found = []
    for query, right in pairs:
        cosines = np.round(c @ q[query], 12)
        order = np.lexsort((np.arange(len(c)), -cosines)).tolist()
        own = [row for row in order if candidate_groups[row] == candidate_groups[right]]
        foreign = [row for row in order if candidate_groups[row] != query_groups[query]]
        found.append(
            (order.index(right) + 1, own.index(right) + 1, foreign.index(right) + 1 if right in foreign else 0)
        )
    return found


@given(
    seed=st.integers(0, 2**32 - 1),
    queries=st.integers(1, 12),
    candidates=st.integers(1, 40),
    groups=st.integers(1, 4),
    spread=st.sampled_from([1.0, 1e-2]),
    at_once=st.sampled_from([1, 5, 100]),
)
@settings(max_examples=60, deadline=None)
def test_equal_to_a_full_sort(seed, queries, candidates, groups, spread, at_once):
    generator = np.random.default_rng(seed)
    centre = generator.standard_normal(16)
    q = (centre + spread * generator.standard_normal((queries, 16))).astype(np.float32)
    c = (centre + spread * generator.standard_normal((candidates, 16))).astype(np.float32)
    # Copies of a candidate tie exactly.
    c[generator.integers(candidates)] = c[0]
    of_query, of_candidate = generator.integers(0, groups, queries), generator.integers(0, groups, candidates)
    pairs = sorted({(int(generator.integers(queries)), int(generator.integers(candidates))) for _ in range(20)})
    before = ranks.QUERIES_AT_ONCE
    ranks.QUERIES_AT_ONCE = at_once
    try:
        found = right_ranks(
            q,
            c,
            np.array([pair[0] for pair in pairs]),
            np.array([pair[1] for pair in pairs]),
            query_groups=of_query,
            candidate_groups=of_candidate,
        )
    finally:
        ranks.QUERIES_AT_ONCE = before
    expected = by_sorting(q, c, pairs, of_query, of_candidate)
    assert list(zip(found.pooled.tolist(), found.own.tolist(), found.foreign.tolist(), strict=True)) == expected


def test_a_model_that_prefers_its_own_language_ranks_well_at_home_and_badly_in_the_pool():
    generator = np.random.default_rng(4)
    meaning, tongue = generator.standard_normal((50, 32)), 6 * generator.standard_normal((2, 32))
    c = np.concatenate([meaning + tongue[0], meaning + tongue[1]]).astype(np.float32)
    q = (meaning + tongue[0]).astype(np.float32)
    rows = np.repeat(np.arange(50), 2)
    right = np.stack([np.arange(50), 50 + np.arange(50)], axis=1).ravel()
    found = right_ranks(q, c, rows, right, query_groups=np.zeros(50, np.int64), candidate_groups=np.repeat([0, 1], 50))
    at_home, abroad = found.pooled[0::2], found.pooled[1::2]
    assert (at_home == 1).all() and abroad.mean() > 40
    assert (found.own[0::2] == 1).all() and (found.foreign[0::2] == 0).all()
    assert (found.foreign[1::2] == found.own[1::2]).all() and (abroad > found.own[1::2] + 20).all()
