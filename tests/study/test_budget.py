"""Mixtures: shares, caps, temperature, and draws that nest."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xtreme_dag.core.errors import UserError
from xtreme_dag.study.budget import (
    Sampling,
    apportion,
    draw_by_count,
    draw_by_tokens,
    draw_order,
    languages_in_draw_order,
)

SIZES = [1000, 100, 400_000]


def weights(**rule):
    return Sampling.from_params(rule, where="test").weights(SIZES, [None] * 3, where="test")


def test_rules():
    assert weights() == pytest.approx(np.array(SIZES) / sum(SIZES))
    assert weights(cap=131_072) == pytest.approx(np.array([1000, 100, 131_072]) / 132_172)
    assert weights(rule="uniform") == pytest.approx([1 / 3] * 3)
    assert weights(rule="temperature", temperature=1.0) == pytest.approx(weights())
    assert weights(rule="temperature", temperature=math.inf) == pytest.approx([1 / 3] * 3)
    warm = np.array(SIZES) ** 0.5
    assert weights(rule="temperature", temperature=2.0) == pytest.approx(warm / warm.sum())
    stated = Sampling(rule="shares").weights([1, 1], [0.25, 0.75], where="test")
    assert stated.tolist() == [0.25, 0.75]


@pytest.mark.parametrize(
    ("rule", "shares", "message"),
    [
        ({"rule": "shares"}, [0.5, 0.4], "sum to 0.9"),
        ({"rule": "shares"}, [0.5, None], "part 2 has no share"),
        ({"rule": "sharse"}, [], "sharse"),
        ({"temperature": 0.0}, [], "not positive"),
        ({"warmth": 1}, [], "warmth"),
    ],
)
def test_mistakes_are_named(rule, shares, message):
    with pytest.raises(UserError, match=message):
        Sampling.from_params(rule, where="here").weights([5] * len(shares), shares, where="here")


@given(st.integers(0, 10_000), st.lists(st.integers(1, 1000), min_size=1, max_size=12))
def test_apportion_is_whole_and_near(total, sizes):
    shares = np.array(sizes) / sum(sizes)
    counts = apportion(total, shares)
    assert counts.sum() == total
    assert (np.abs(counts - total * shares) < 1 + 1e-6).all()


@given(st.integers(0, 100), st.integers(1, 60), st.integers(0, 60), st.booleans())
def test_draws_nest_and_repeat_only_when_asked(seed, size, count, repeat):
    ids = [f"item-{number}" for number in range(size)]
    order = draw_order(ids, seed=seed, dataset="d", language="en", items="disjoint")
    assert sorted(order.tolist()) == list(range(size))
    if count > size and not repeat:
        with pytest.raises(UserError, match="repeat: true"):
            draw_by_count(order, count, repeat=repeat, where="test")
        return
    rows = draw_by_count(order, count, repeat=repeat, where="test")
    smaller = draw_by_count(order, count // 2, repeat=repeat, where="test")
    assert len(rows) == count and rows[: len(smaller)].tolist() == smaller.tolist()
    assert np.bincount(rows, minlength=size).max(initial=0) <= -(-count // size)


def test_order_depends_on_ids_alone():
    ids = [f"q{number}" for number in range(200)]
    here = {"seed": 1, "dataset": "xnli", "items": "parallel"}
    english = [ids[row] for row in draw_order(ids, language="en", **here)]
    shuffled = ids[::-1]
    german = [shuffled[row] for row in draw_order(shuffled, language="de", **here)]
    assert english == german, "parallel items have one order in all languages"
    subset = ids[::3]
    assert [subset[row] for row in draw_order(subset, language="en", **here)] == [
        name for name in english if name in set(subset)
    ]
    alone = {**here, "items": "independent"}
    assert [ids[row] for row in draw_order(ids, language="en", **alone)] == english
    assert [ids[row] for row in draw_order(ids, language="de", **alone)] != english
    assert [ids[row] for row in draw_order(ids, language="en", **{**here, "seed": 2})] != english
    assert [ids[row] for row in draw_order(ids, language="en", **{**here, "dataset": "pawsx"})] != english


@given(st.lists(st.integers(1, 50), min_size=1, max_size=40), st.integers(1, 2000))
def test_token_budgets_are_kept(lengths, tokens):
    lengths = np.array(lengths)
    order = np.arange(len(lengths))
    rows = draw_by_tokens(order, lengths, tokens, repeat=True, where="test")
    used = int(lengths[rows].sum())
    assert used <= tokens
    assert used + int(lengths.max()) >= tokens, "one more example would not fit"
    if tokens > lengths.sum():
        with pytest.raises(UserError, match="tokens"):
            draw_by_tokens(order, lengths, tokens, repeat=False, where="test")


def test_english_draws_first():
    assert languages_in_draw_order(["de", "en", "fr", "en"]) == [1, 3, 0, 2]
