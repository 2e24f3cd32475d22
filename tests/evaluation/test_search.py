"""The search against a double-precision search over everything."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from xtreme_dag.evaluation import search
from xtreme_dag.evaluation.search import TopK, product_error, top_k


def exact(queries, index):
    """The definition: double-precision cosines (queries, rows)."""
    q, x = queries.astype(np.float64), index.astype(np.float64)
    lengths = np.linalg.norm(q, axis=1)[:, None] * np.linalg.norm(x, axis=1)
    return (q @ x.T) / np.where(lengths > 0, lengths, 1.0)


def agrees(found, queries, index, k):
    """The k highest cosines, at rows that have them; the very rows wherever neighbours differ by more than 1e-13."""
    cosines = exact(queries, index)
    order = np.argsort(-cosines, axis=1, kind="stable")[:, : k + 1]
    ranked = np.take_along_axis(cosines, order, axis=1)
    kept = min(k, len(index))
    rows = found.rows[:, :kept]
    np.testing.assert_allclose(found.cosines[:, :kept], ranked[:, :kept], rtol=0, atol=1e-13)
    np.testing.assert_allclose(np.take_along_axis(cosines, rows, axis=1), ranked[:, :kept], rtol=0, atol=1e-13)
    assert all(len(set(row)) == kept for row in rows.tolist())
    apart = (-np.diff(ranked, axis=1) > 1e-13).all(axis=1)
    np.testing.assert_array_equal(rows[apart], order[apart, :kept])
    assert (found.rows[:, kept:] == -1).all() and np.isneginf(found.cosines[:, kept:]).all()


@given(
    seed=st.integers(0, 2**32 - 1),
    queries=st.integers(1, 40),
    rows=st.integers(1, 90),
    width=st.integers(1, 40),
    k=st.integers(1, 12),
    spread=st.sampled_from([1.0, 1e-2, 1e-4]),
)
@settings(max_examples=80, deadline=None)
def test_equal_to_a_double_precision_search_also_where_vectors_crowd_together(seed, queries, rows, width, k, spread):
    generator = np.random.default_rng(seed)
    centre = generator.standard_normal(width)
    q = (centre + spread * generator.standard_normal((queries, width))).astype(np.float32)
    x = (centre + spread * generator.standard_normal((rows, width))).astype(np.float32)
    agrees(top_k(q, x, k), q, x, k)


def test_blocks_chunks_and_row_order_do_not_matter(monkeypatch):
    generator = np.random.default_rng(5)
    q = generator.standard_normal((70, 16)).astype(np.float32)
    x = generator.standard_normal((333, 16)).astype(np.float32)
    monkeypatch.setattr(search, "QUERY_ROWS", 16)
    monkeypatch.setattr(search, "INDEX_ROWS", 50)
    monkeypatch.setattr(search, "PAIRS_AT_ONCE", 7)
    whole = top_k(q, x, 6)
    agrees(whole, q, x, 6)
    pieces = top_k(q, (x[low : low + 37] for low in range(0, 333, 37)), 6)
    np.testing.assert_array_equal(pieces.rows, whole.rows)
    np.testing.assert_array_equal(pieces.cosines, whole.cosines)
    order = generator.permutation(333)
    shuffled = top_k(q, x[order], 6)
    np.testing.assert_array_equal(order[shuffled.rows], whole.rows)


def test_equal_rows_come_in_rising_order_and_a_block_of_copies_stays_exact():
    q = np.ones((3, 8), dtype=np.float32)
    x = np.tile(np.ones(8, dtype=np.float32), (500, 1))
    found = top_k(q, [x[:200], x[200:]], 5)
    assert found.rows.tolist() == [[0, 1, 2, 3, 4]] * 3
    np.testing.assert_allclose(found.cosines, 1.0, atol=1e-15)


def test_a_zero_vector_has_cosine_zero_with_everything():
    found = top_k(np.zeros((1, 4), np.float32), np.eye(4, dtype=np.float32), 2)
    assert found.rows.tolist() == [[0, 1]] and found.cosines.tolist() == [[0.0, 0.0]]


def test_a_single_precision_search_alone_would_be_wrong():
    generator = np.random.default_rng(1)
    centre = generator.standard_normal(64)
    q = (centre + 1e-4 * generator.standard_normal((200, 64))).astype(np.float32)
    x = (centre + 1e-4 * generator.standard_normal((2000, 64))).astype(np.float32)
    units = [v / np.linalg.norm(v, axis=1, keepdims=True) for v in (q, x)]
    single = np.argsort(-(units[0] @ units[1].T), axis=1, kind="stable")[:, :4]
    assert (single != np.argsort(-exact(q, x), axis=1, kind="stable")[:, :4]).any()
    agrees(top_k(q, x, 4), q, x, 4)


@pytest.mark.parametrize("spread", [1.0, 1e-4])
def test_faiss_proposes_and_the_answer_is_the_same(monkeypatch, spread):
    generator = np.random.default_rng(2)
    centre = generator.standard_normal(32)
    q = (centre + spread * generator.standard_normal((50, 32))).astype(np.float32)
    x = (centre + spread * generator.standard_normal((900, 32))).astype(np.float32)
    monkeypatch.setattr(search, "FAISS_FROM_PRODUCTS", 1)
    monkeypatch.setattr(search, "INDEX_ROWS", 256)
    for faiss in (True, False):
        agrees(top_k(q, x, 4, faiss=faiss), q, x, 4)


def test_the_error_bound_holds_and_knows_tf32():
    generator = np.random.default_rng(3)
    a, b = (torch.from_numpy(generator.standard_normal((300, 1024))) for _ in range(2))
    a, b = a / a.norm(dim=1, keepdim=True), b / b.norm(dim=1, keepdim=True)
    error = (a @ b.T - (a.float() @ b.float().T).double()).abs().max().item()
    assert 0 < error < product_error(1024, torch.device("cpu")) < 1e-4


def test_k_below_one_is_refused():
    with pytest.raises(ValueError, match="k must be 1"):
        TopK(np.eye(2, dtype=np.float32), 0)
