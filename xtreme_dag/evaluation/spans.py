"""Turn start and end scores of windows into answers cut from the original text.

The best spans are found over all legal pairs of tokens, not over the product of the 20 best starts and the 20 best
ends, so that a window always has an answer. The answer is cut from the context by character offsets: no
detokenisation, no search for the answer's words (the `get_final_text` of the old scripts, which fails in languages
written without spaces).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class WindowSpans:
    """The best spans of each window, by falling score.

    Attributes:
        score: float32 (windows, n), start plus end score; -inf where a window has fewer spans.
        start: int64 (windows, n), token position in the window.
        end: int64 (windows, n), token position in the window, inclusive.
        null: float32 (windows,), start plus end score of the first token: the window's "no answer here".
    """

    score: NDArray[np.float32]
    start: NDArray[np.int64]
    end: NDArray[np.int64]
    null: NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A span of the context.

    Attributes:
        text: `context[start:end]`.
        start: its first character, in Unicode code points.
        end: one past its last character.
        score: start plus end score of its tokens.
    """

    text: str
    start: int
    end: int
    score: float


def best_spans(
    start: Tensor, end: Tensor, lengths: Sequence[int], inside: Tensor, *, n: int = 20, max_tokens: int = 30
) -> WindowSpans:
    """The n best legal spans of each window of a packed batch.

    A span is legal if both ends lie in the context, the end is not before the start, and it has at most `max_tokens`
    tokens. Ties go to the earlier start, then to the shorter span.

    Args:
        start: float (tokens,), start scores of all windows end to end.
        end: float (tokens,), end scores.
        lengths: tokens of each window.
        inside: bool (tokens,), whether a token is one of the context.
        n: how many spans to keep.
        max_tokens: the longest answer.
    """
    device = start.device
    sizes = torch.as_tensor(lengths, device=device)
    first = sizes.cumsum(0) - sizes
    window = torch.arange(len(sizes), device=device).repeat_interleave(sizes)
    tokens, longest = len(start), int(sizes.max())
    minus = torch.full((max_tokens - 1,), -torch.inf, device=device)
    starts = torch.where(inside, start.float(), -torch.inf)
    ends = torch.where(inside, end.float(), -torch.inf)
    # scores[t, j]: the span from token t to token t + j.
    scores = starts[:, None] + torch.cat([ends, minus]).unfold(0, max_tokens, 1)
    reach = (first + sizes)[window] - torch.arange(tokens, device=device)
    scores = torch.where(torch.arange(max_tokens, device=device) < reach[:, None], scores, -torch.inf)
    padded = torch.full((len(sizes), longest, max_tokens), -torch.inf, device=device)
    padded[window, torch.arange(tokens, device=device) - first[window]] = scores
    flat = padded.view(len(sizes), -1)
    chosen = _highest(flat, min(n, flat.shape[1]))
    begin = chosen // max_tokens
    return WindowSpans(
        score=flat.gather(1, chosen).cpu().numpy(),
        start=begin.cpu().numpy(),
        end=(begin + chosen % max_tokens).cpu().numpy(),
        null=(start[first] + end[first]).float().cpu().numpy(),
    )


def _highest(values: Tensor, n: int) -> Tensor:
    """Places of the n highest values of each row, falling, equal values by rising place (`topk` promises no order)."""
    bits = values.view(torch.int32)
    # The bits of a float sort as integers do, once those of negative numbers are turned round.
    ordered = torch.where(bits < 0, bits ^ 0x7FFFFFFF, bits).to(torch.int64)
    width = values.shape[1]
    return (ordered * width + torch.arange(width - 1, -1, -1, device=values.device)).topk(n, dim=1).indices


def n_best(
    context: str, spans: WindowSpans, windows: range, offsets: Sequence[NDArray[np.int32]], *, n: int = 20
) -> list[Answer]:
    """The n best answers of one example over all its windows, by falling score; each span of characters once.

    Args:
        context: the text that the offsets count in.
        spans: the best spans of all windows.
        windows: the rows of `spans` that belong to the example.
        offsets: for each of these windows, int32 (tokens, 2): first character of a token and one past its last.
        n: how many answers to return.
    """
    found: list[Answer] = []
    for window, places in zip(windows, offsets, strict=True):
        for score, first, last in zip(spans.score[window], spans.start[window], spans.end[window], strict=True):
            if np.isfinite(score):
                start, end = _trimmed(context, int(places[first, 0]), int(places[last, 1]))
                if start < end:
                    found.append(Answer(text=context[start:end], start=start, end=end, score=float(score)))
    found.sort(key=lambda answer: -answer.score)
    distinct: dict[tuple[int, int], Answer] = {}
    for answer in found:
        distinct.setdefault((answer.start, answer.end), answer)
    return list(distinct.values())[:n]


def _trimmed(context: str, start: int, end: int) -> tuple[int, int]:
    """The span without white space at its ends (some tokenizers count it into a token)."""
    text = context[start:end]
    return start + len(text) - len(text.lstrip()), end - (len(text) - len(text.rstrip()))


def probabilities(answers: Sequence[Answer], null: float | None) -> NDArray[np.float64]:
    """Softmax over the n best and, where it is given, over "no answer" too: float64 (answers,)."""
    if not answers:
        return np.zeros(0)
    scores = np.array([answer.score for answer in answers] + ([] if null is None else [null]), dtype=np.float64)
    weights = np.exp(scores - scores.max())
    share: NDArray[np.float64] = weights / weights.sum()
    return share[: len(answers)]
