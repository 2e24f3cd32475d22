"""Bitext mining against a plain double-precision transcription of its definition."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xtreme_dag.core.errors import UserError
from xtreme_dag.evaluation.mining import distinct, id_pairs, mine


def definition(foreign, english, k, margin):
    """Every step written out over the full matrix of cosines."""
    f, e = (
        v.astype(np.float64) / np.linalg.norm(v.astype(np.float64), axis=1, keepdims=True) for v in (foreign, english)
    )
    cosine = f @ e.T
    nearest_f = np.argsort(-cosine, axis=1, kind="stable")[:, :k]
    nearest_e = np.argsort(-cosine.T, axis=1, kind="stable")[:, :k]
    level_f = [np.mean([cosine[i, j] for j in row]) for i, row in enumerate(nearest_f)]
    level_e = [np.mean([cosine[i, j] for i in row]) for j, row in enumerate(nearest_e)]

    def score(i, j):
        return cosine[i, j] / ((level_f[i] + level_e[j]) / 2) if margin == "ratio" else cosine[i, j]

    proposals = [max((score(i, j), -rank, i, j) for rank, j in enumerate(row)) for i, row in enumerate(nearest_f)]
    proposals += [max((score(i, j), -rank, i, j) for rank, i in enumerate(row)) for j, row in enumerate(nearest_e)]
    pairs, used_f, used_e = [], set(), set()
    for value, _, i, j in sorted(proposals, key=lambda p: (-p[0], p[2], p[3])):
        if value > 0 and i not in used_f and j not in used_e:
            pairs.append((i, j, value))
            used_f.add(i)
            used_e.add(j)
    return pairs


@given(
    seed=st.integers(0, 2**32 - 1),
    foreign=st.integers(1, 30),
    english=st.integers(1, 30),
    k=st.integers(1, 5),
    margin=st.sampled_from(["ratio", "cosine"]),
)
@settings(max_examples=60, deadline=None)
def test_equal_to_the_definition(seed, foreign, english, k, margin):
    generator = np.random.default_rng(seed)
    centre = generator.standard_normal(12) * 2
    f = (centre + generator.standard_normal((foreign, 12))).astype(np.float32)
    e = (centre + generator.standard_normal((english, 12))).astype(np.float32)
    found = mine(f, e, k=k, margin=margin)
    expected = definition(f, e, k, margin)
    assert list(zip(found.foreign.tolist(), found.english.tolist(), strict=True)) == [p[:2] for p in expected]
    np.testing.assert_allclose(found.scores, [p[2] for p in expected], rtol=0, atol=1e-12)


def test_planted_translations_are_found_and_each_sentence_is_used_once():
    generator = np.random.default_rng(0)
    meaning = generator.standard_normal((200, 32))
    f = (meaning[:120] + 0.2 * generator.standard_normal((120, 32))).astype(np.float32)
    e = (meaning[80:] + 0.2 * generator.standard_normal((120, 32))).astype(np.float32)
    found = mine(f, e)
    best = dict(zip(found.foreign[:40].tolist(), found.english[:40].tolist(), strict=True))
    assert best == {80 + i: i for i in range(40)}
    assert len(set(found.foreign.tolist())) == len(found.foreign) == len(set(found.english.tolist()))
    assert (np.diff(found.scores) <= 0).all()


def test_both_conventions_for_repeated_sentences():
    foreign = distinct(["f1", "f2", "f3"], ["gleich", "anders", "gleich"])
    english = distinct(["e1", "e2"], ["same", "other"])
    assert foreign.ids == (("f1", "f3"), ("f2",)) and foreign.first.tolist() == [0, 1]
    vectors = np.array([[1, 0.1], [0.1, 1]], dtype=np.float32)
    mined = mine(vectors, vectors, k=1)
    dropped = id_pairs(mined, foreign, english)
    every = id_pairs(mined, foreign, english, repeats="all")
    assert [pair[:2] for pair in dropped] == [("f2", "e2")]
    assert sorted(pair[:2] for pair in every) == [("f1", "e1"), ("f2", "e2"), ("f3", "e1")]


def test_an_empty_side_gives_no_pairs():
    one = np.ones((1, 3), dtype=np.float32)
    for foreign, english in ((one, one[:0]), (one[:0], one), (one[:0], one[:0])):
        assert len(mine(foreign, english).scores) == 0


def test_unknown_names_are_answered_with_the_nearest():
    vectors = np.eye(2, dtype=np.float32)
    with pytest.raises(UserError, match="did you mean 'ratio'"):
        mine(vectors, vectors, margin="ration")
    pool = distinct(["a", "b"], ["x", "y"])
    with pytest.raises(UserError, match="did you mean 'dropped'"):
        id_pairs(mine(vectors, vectors, k=1), pool, pool, repeats="drop")


def test_of_equal_vectors_the_lower_row_is_taken():
    """Different sentences can have equal vectors; which of them gets the partner is not left to a sort."""
    one, other = np.eye(2, 8, dtype=np.float32)
    for foreign, english, pairs in (
        ([one, one, other], [one, other], {(0, 0), (2, 1)}),
        ([one, other], [one, one, other], {(0, 0), (1, 2)}),
        ([one] * 3, [one] * 2, {(0, 0)}),
    ):
        found = mine(np.stack(foreign), np.stack(english), k=2)
        assert set(zip(found.foreign.tolist(), found.english.tolist(), strict=True)) == pairs
