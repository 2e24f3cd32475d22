"""Answers from start and end scores, against a search over every pair of tokens."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from xtreme_dag.evaluation.spans import Answer, best_spans, n_best, probabilities


def every_span(start, end, inside, max_tokens):
    """All legal spans of one window, by falling score, then earlier start, then shorter."""
    spans = [
        (float(np.float32(start[i]) + np.float32(end[j])), i, j)
        for i in range(len(start))
        for j in range(i, min(i + max_tokens, len(start)))
        if inside[i] and inside[j]
    ]
    return sorted(spans, key=lambda span: (-span[0], span[1], span[2]))


@given(
    seed=st.integers(0, 2**32 - 1),
    lengths=st.lists(st.integers(1, 14), min_size=1, max_size=5),
    n=st.integers(1, 8),
    max_tokens=st.integers(1, 6),
    coarse=st.booleans(),
)
@settings(max_examples=80, deadline=None)
def test_equal_to_a_search_over_every_pair_of_tokens(seed, lengths, n, max_tokens, coarse):
    generator = np.random.default_rng(seed)
    tokens = sum(lengths)
    draw = generator.integers(-2, 3, (2, tokens)) if coarse else generator.standard_normal((2, tokens))
    start, end = draw.astype(np.float32)
    inside = generator.random(tokens) < 0.7
    found = best_spans(
        torch.from_numpy(start), torch.from_numpy(end), lengths, torch.from_numpy(inside), n=n, max_tokens=max_tokens
    )
    low = 0
    for window, length in enumerate(lengths):
        part = slice(low, low + length)
        expected = every_span(start[part], end[part], inside[part], max_tokens)[:n]
        legal = np.isfinite(found.score[window])
        rows = zip(*(getattr(found, name)[window][legal].tolist() for name in ("score", "start", "end")), strict=True)
        assert list(rows) == expected
        assert found.null[window] == start[low] + end[low]
        low += length


def test_an_answer_is_cut_from_the_context_by_code_points_and_trimmed():
    context = "東京は 𠮷野家 へ 行く。"
    offsets = np.array([[-1, -1], [0, 2], [2, 3], [3, 7], [7, 9], [-1, -1]], dtype=np.int32)
    inside = torch.tensor([False, True, True, True, True, False])
    start = torch.tensor([9.0, 0.0, 0.0, 5.0, 0.0, 9.0])
    end = torch.tensor([9.0, 0.0, 0.0, 5.0, 4.0, 9.0])
    spans = best_spans(start, end, [6], inside, n=4)
    answers = n_best(context, spans, range(1), [offsets], n=3)
    assert answers[0] == Answer(text="𠮷野家", start=4, end=7, score=10.0)
    assert answers[1].text == "𠮷野家 へ" and answers[1].score == 9.0
    assert all(context[a.start : a.end] == a.text == a.text.strip() for a in answers)


def test_windows_of_an_example_share_one_list_and_a_span_counts_once():
    context = "one two three"
    spans = best_spans(
        torch.tensor([0.0, 1.0, 2.0, 0.0, 2.5, 1.0]),
        torch.tensor([0.0, 1.0, 2.0, 0.0, 2.5, 1.0]),
        [3, 3],
        torch.tensor([False, True, True, False, True, True]),
        n=10,
    )
    offsets = [
        np.array([[-1, -1], [0, 3], [4, 7]], dtype=np.int32),
        np.array([[-1, -1], [4, 7], [8, 13]], dtype=np.int32),
    ]
    answers = n_best(context, spans, range(2), offsets)
    assert [(a.text, a.score) for a in answers] == [
        ("two", 5.0),
        ("two three", 3.5),
        ("one two", 3.0),
        ("one", 2.0),
        ("three", 2.0),
    ]


def test_a_window_without_context_has_no_answer():
    spans = best_spans(torch.zeros(2), torch.zeros(2), [2], torch.tensor([False, False]), n=5)
    assert n_best("text", spans, range(1), [np.full((2, 2), -1, np.int32)]) == []


def test_probabilities_sum_to_one_with_the_null_answer():
    answers = [Answer(text="a", start=0, end=1, score=2.0), Answer(text="b", start=1, end=2, score=1.0)]
    alone = probabilities(answers, None)
    shared = probabilities(answers, 2.0)
    np.testing.assert_allclose(alone.sum(), 1.0)
    np.testing.assert_allclose(shared, np.exp([2.0, 1.0]) / np.exp([2.0, 1.0, 2.0]).sum())
    assert probabilities([], 1.0).shape == (0,)
