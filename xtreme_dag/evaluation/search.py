"""Exact cosine top-k search over an index that need not fit in memory.

A single-precision matrix product proposes, double precision decides. The rounding error of the product has a known
bound, so a pair that the product leaves out cannot belong to the true top k: the answer is that of a double precision
search over everything, at the price of a single precision one. Ties go to the lower row of the index.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

QUERY_ROWS = 2048
INDEX_ROWS = 8192
PAIRS_AT_ONCE = 8192
# From this many products of a block on, faiss is asked where it is installed (it was never slower there).
FAISS_FROM_PRODUCTS = 1 << 26
# faiss hands over a few more than k, so that rounding cannot hide the k-th.
FAISS_SPARE = 12


@dataclass(frozen=True, kw_only=True)
class Neighbours:
    """The nearest rows of an index for each query.

    Attributes:
        rows: int64 (queries, k), rows of the index by falling cosine, ties by rising row; -1 beyond the index's end.
        cosines: float64 (queries, k), in [-1, 1]; -inf where `rows` is -1.
    """

    rows: NDArray[np.int64]
    cosines: NDArray[np.float64]


def product_error(width: int, device: torch.device) -> float:
    """Bounds the error of the single-precision product of two unit vectors of `width` numbers.

    The classic bound of an inner product, n u / (1 - n u) (Higham, Accuracy and Stability of Numerical Algorithms,
    section 3.1), with four more roundings for the normalisation of both sides. `u` is 2^-24, or TF32's 2^-11 (on
    inputs) where CUDA may use it.
    """
    terms = (width + 4) * 2.0**-24
    bound = terms / (1 - terms)
    if device.type == "cuda" and torch.get_float32_matmul_precision() != "highest":
        bound += 2.0**-9
    return bound


class TopK:
    """The running top k of some queries over an index that arrives in blocks.

    Memory is that of the queries, one block and `QUERY_ROWS` x `INDEX_ROWS` products, whatever the index's length.

    Args:
        queries: float32 (queries, width), of any length (norm); a zero vector has cosine 0 with everything.
        k: how many neighbours to keep, 1 or more.
        device: where the products are computed.
        faiss: let faiss propose in large blocks on the CPU; None where it is installed. The result is the same.
    """

    def __init__(
        self,
        queries: NDArray[np.float32],
        k: int,
        *,
        device: str | torch.device = "cpu",
        faiss: bool | None = None,
    ) -> None:
        if k < 1:
            raise ValueError(f"k must be 1 or more, not {k}")
        self._device = torch.device(device)
        self._queries = torch.from_numpy(np.ascontiguousarray(queries, dtype=np.float32)).to(self._device)
        self._norms = row_norms(self._queries)
        self._units = unit_rows(self._queries, self._norms)
        self._error = product_error(queries.shape[1], self._device)
        wanted = importlib.util.find_spec("faiss") is not None if faiss is None else faiss
        self._faiss = wanted and self._device.type == "cpu"
        self._seen = 0
        self._rows = torch.full((len(queries), k), -1, dtype=torch.int64, device=self._device)
        self._cosines = torch.full((len(queries), k), -torch.inf, dtype=torch.float64, device=self._device)

    def add(self, block: NDArray[np.float32]) -> None:
        """Searches the next block of the index: float32 (rows, width), rows counted on from the last block."""
        for low in range(0, len(block), INDEX_ROWS):
            part = np.ascontiguousarray(block[low : low + INDEX_ROWS], dtype=np.float32)
            values = torch.from_numpy(part).to(self._device)
            norms = row_norms(values)
            units = unit_rows(values, norms)
            todo = torch.arange(len(self._queries), device=self._device)
            if self._faiss and len(todo) * len(units) >= FAISS_FROM_PRODUCTS:
                query, column, todo = self._propose_with_faiss(units)
                self._decide(query, column, values, norms)
            for some in torch.split(todo, QUERY_ROWS):
                query, column = self._propose(some, units)
                self._decide(query, column, values, norms)
            self._seen += len(part)

    def result(self) -> Neighbours:
        """The top k over all that was added."""
        return Neighbours(rows=self._rows.cpu().numpy(), cosines=self._cosines.cpu().numpy())

    def _floor(self) -> Tensor:
        """Per query, what a single-precision product must reach for its pair to have a chance."""
        floor = (self._cosines[:, -1] - self._error).to(torch.float32)
        # One step down: the conversion may have rounded the bound up.
        return torch.nextafter(floor, torch.full_like(floor, -torch.inf))

    def _propose(self, queries: Tensor, units: Tensor) -> tuple[Tensor, Tensor]:
        """Pairs (query, column of the block) that may belong to the top k."""
        k = min(self._rows.shape[1], len(units))
        floor = self._floor()[queries]
        products = self._units[queries] @ units.T
        hopeful = products.amax(dim=1) >= floor
        queries, floor = queries[hopeful], floor[hopeful]
        if not bool(hopeful.all()):
            products = products[hopeful]
        keep = products >= floor[:, None]
        crowded = (keep.sum(dim=1) > 2 * k).nonzero().squeeze(1)
        if len(crowded):
            kth = products[crowded].topk(k, dim=1).values[:, -1]
            keep[crowded] &= products[crowded] >= (kth - 2 * self._error)[:, None]
        row, column = keep.nonzero(as_tuple=True)
        return queries[row], column

    def _propose_with_faiss(self, units: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """As `_propose` for all queries, and the queries for which faiss' list may be too short by rounding."""
        import faiss

        k = min(self._rows.shape[1], len(units))
        wanted = min(k + FAISS_SPARE, len(units))
        values, columns = faiss.knn(self._units.numpy(), units.numpy(), wanted, metric=faiss.METRIC_INNER_PRODUCT)
        products = torch.from_numpy(values)
        floor = torch.maximum(self._floor(), products[:, k - 1] - 2 * self._error)
        if wanted < len(units):
            short = products[:, -1] >= floor
        else:
            short = torch.zeros(len(products), dtype=torch.bool)
        row, place = ((products >= floor[:, None]) & ~short[:, None]).nonzero(as_tuple=True)
        return row, torch.from_numpy(columns).to(torch.int64)[row, place], short.nonzero().squeeze(1)

    def _decide(self, query: Tensor, column: Tensor, values: Tensor, norms: Tensor) -> None:
        """Scores the pairs in double precision and merges them into the running top k."""
        if not len(query):
            return
        cosines = pair_cosines(self._queries, self._norms, query, values, norms, column)
        touched, where = torch.unique(query, return_inverse=True)
        k = self._rows.shape[1]
        owner = torch.cat([torch.arange(len(touched), device=self._device).repeat_interleave(k), where])
        rows = torch.cat([self._rows[touched].flatten(), column + self._seen])
        scores = torch.cat([self._cosines[touched].flatten(), cosines])
        # Stable sorts from the last key to the first: row, falling cosine, owner.
        order = torch.where(rows < 0, torch.iinfo(torch.int64).max, rows).argsort(stable=True)
        order = order[scores[order].argsort(descending=True, stable=True)]
        order = order[owner[order].argsort(stable=True)]
        counts = torch.bincount(owner, minlength=len(touched))
        starts = counts.cumsum(0) - counts
        best = order[(starts[:, None] + torch.arange(k, device=self._device)).flatten()]
        self._rows[touched] = rows[best].view(-1, k)
        self._cosines[touched] = scores[best].view(-1, k)


def row_norms(values: Tensor) -> Tensor:
    """Euclidean lengths in double precision: (rows, width) -> float64 (rows,)."""
    parts = [some.to(torch.float64).square().sum(dim=1).sqrt() for some in torch.split(values, PAIRS_AT_ONCE)]
    return torch.cat(parts) if parts else values.new_zeros(0, dtype=torch.float64)


def unit_rows(values: Tensor, norms: Tensor) -> Tensor:
    """Rows of length 1 in single precision; a zero row stays zero."""
    return values / torch.where(norms > 0, norms, 1.0).to(values.dtype)[:, None]


def pair_cosines(left: Tensor, left_norms: Tensor, i: Tensor, right: Tensor, right_norms: Tensor, j: Tensor) -> Tensor:
    """Double-precision cosines of the pairs (left[i], right[j]): float64 (pairs,)."""
    parts = []
    for a, b in zip(torch.split(i, PAIRS_AT_ONCE), torch.split(j, PAIRS_AT_ONCE), strict=True):
        dots = (left[a].to(torch.float64) * right[b].to(torch.float64)).sum(dim=1)
        lengths = left_norms[a] * right_norms[b]
        parts.append(dots / torch.where(lengths > 0, lengths, 1.0))
    return torch.cat(parts) if parts else left_norms.new_zeros(0)


def top_k(
    queries: NDArray[np.float32],
    index: NDArray[np.float32] | Iterable[NDArray[np.float32]],
    k: int,
    *,
    device: str | torch.device = "cpu",
    faiss: bool | None = None,
) -> Neighbours:
    """The k rows of `index` with the highest cosine for each query.

    Args:
        queries: float32 (queries, width).
        index: float32 (rows, width), or blocks of it in order.
        k: 1 or more.
        device: where the products are computed.
        faiss: see `TopK`.
    """
    search = TopK(queries, k, device=device, faiss=faiss)
    for block in [index] if isinstance(index, np.ndarray) else index:
        search.add(block)
    return search.result()
