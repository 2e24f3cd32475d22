"""CUDA graphs of the transformer layers: a training step of hundreds of kernel launches becomes two.

A graph replays what it recorded at the shapes that it was recorded with. So a batch is padded, at its end, to one of a
few shapes; each shape's forward and backward pass through the layers is recorded when it first occurs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from xtreme_dag.model.attention import Boundaries

# Beyond this many shapes a batch runs without a graph: each keeps the states at its ends, and recording takes a while.
_SHAPES = 48
# Sequences of a shape are a multiple of this, those of the padding among them.
_SEQUENCES = 32
_WARM_UP = 2

Layers = Callable[[Tensor, Boundaries], Tensor]


def token_step(tokens: int) -> int:
    """The multiple to which a batch's tokens are padded: a power of two, from a 32nd to a 16th of them, at least 32."""
    return max(32, 1 << max(0, (tokens // 16).bit_length() - 1))


def length_step(longest: int) -> int:
    """The longest sequence that a shape allows for: a power of two, at least 128."""
    return max(128, 1 << max(0, longest - 1).bit_length())


class GraphedLayers(nn.Module):
    """Stands for all layers but the last in a training pass on CUDA, and adds to the parameters' gradients itself.

    The gradients lie in buffers of its own, which it zeroes when it finds that the optimizer's were dropped.

    Args:
        layers: the layers, in order; they stay the encoder's own.
    """

    def __init__(self, layers: Sequence[nn.Module]) -> None:
        super().__init__()
        # Plain tuples: registered as children, the layers would be the model's twice.
        self._layers = tuple(layers)
        self._parameters_of_layers = tuple(
            each for layer in layers for each in layer.parameters() if each.requires_grad
        )
        self._buffers_of_gradients: tuple[Tensor, ...] = ()
        self._graphs: dict[tuple[Any, ...], _Graph] = {}
        self._pool: Any = None

    def forward(self, hidden: Tensor, *arguments: Any, packing: Boundaries, **options: Any) -> Tensor:
        """The states behind the layers.

        Args:
            hidden: `[1, tokens, hidden]`, tokens a multiple of `token_step`.
            arguments: what else the encoder hands to its layers; the same in every call.
            packing: the boundaries, the last of them the number of tokens.
            options: likewise.
        """

        def run(states: Tensor, boundaries: Boundaries) -> Tensor:
            for layer in self._layers:
                states = layer(states, *arguments, packing=boundaries, **options)
            return states

        sequences = (len(packing.bounds) // _SEQUENCES + 1) * _SEQUENCES
        shape = (hidden.shape[1], sequences, packing.longest)
        if not hidden.requires_grad or (shape not in self._graphs and len(self._graphs) >= _SHAPES):
            return run(hidden, packing)
        if shape not in self._graphs:
            self._graphs[shape] = self._record(run, hidden, packing, sequences)
        # torch gives `apply` no types
        out: Tensor = _Replay.apply(hidden, packing.bounds, self._graphs[shape], self)  # type: ignore[no-untyped-call]
        return out

    def __len__(self) -> int:
        """How many shapes have been recorded."""
        return len(self._graphs)

    def own_gradients(self) -> None:
        """Makes the buffers the parameters' gradients, with what was added to those since the last step."""
        if not self._buffers_of_gradients:
            self._buffers_of_gradients = tuple(torch.zeros_like(each) for each in self._parameters_of_layers)
        first = self._parameters_of_layers[0].grad
        if first is self._buffers_of_gradients[0]:
            return
        torch._foreach_zero_(self._buffers_of_gradients)
        for parameter, buffer in zip(self._parameters_of_layers, self._buffers_of_gradients, strict=True):
            if parameter.grad is not None:
                buffer.copy_(parameter.grad)
            parameter.grad = buffer

    def _record(self, run: Layers, hidden: Tensor, packing: Boundaries, sequences: int) -> _Graph:
        """Records a shape; the random numbers go on as if nothing had been run."""
        self.own_gradients()
        if self._pool is None:
            self._pool = torch.cuda.graph_pool_handle()
        random = torch.cuda.get_rng_state(hidden.device)
        graph = _Graph(
            run,
            self._parameters_of_layers,
            self._buffers_of_gradients,
            hidden=hidden,
            packing=packing,
            sequences=sequences,
            pool=self._pool,
        )
        torch.cuda.set_rng_state(random, hidden.device)
        return graph


class _Graph:
    """The layers' forward and backward pass at one shape.

    All graphs share their memory: what one leaves between its forward and its backward pass, another may overwrite, and
    between the two no other runs.
    """

    def __init__(
        self,
        run: Layers,
        parameters: tuple[nn.Parameter, ...],
        gradients: tuple[Tensor, ...],
        *,
        hidden: Tensor,
        packing: Boundaries,
        sequences: int,
        pool: Any,
    ) -> None:
        self._hidden = hidden.detach().clone().requires_grad_(True)
        self._bounds = torch.full((sequences + 1,), hidden.shape[1], dtype=torch.int32, device=hidden.device)
        self._bounds[: len(packing.bounds)] = packing.bounds
        static = replace(packing, bounds=self._bounds)
        wanted = (self._hidden, *parameters)

        def forward() -> Tensor:
            # A weight that is cast to bf16 once and kept would be an old one at the next replay.
            dtype = torch.get_autocast_dtype("cuda")
            with torch.autocast("cuda", dtype=dtype, enabled=torch.is_autocast_enabled("cuda"), cache_enabled=False):
                return run(self._hidden, static)

        # torch gives its streams' constructor no types
        beside: Any = torch.cuda.Stream(hidden.device)  # type: ignore[no-untyped-call]
        beside.wait_stream(torch.cuda.current_stream(hidden.device))
        with torch.cuda.stream(beside):
            for _ in range(_WARM_UP):
                out = forward()
                torch.autograd.grad(out, wanted, torch.zeros_like(out))
                del out
        torch.cuda.current_stream(hidden.device).wait_stream(beside)
        self._ahead, self._back = torch.cuda.CUDAGraph(), torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._ahead, pool=pool):
            out = forward()
        self._gradient = torch.zeros_like(out)
        with torch.cuda.graph(self._back, pool=pool):
            found = torch.autograd.grad(out, wanted, self._gradient)
            torch._foreach_add_(gradients, found[1:])
        self._out, self._inward = out.detach(), found[0]

    def ahead(self, hidden: Tensor, bounds: Tensor) -> Tensor:
        """The forward pass; the states hold until the next one."""
        self._hidden.detach().copy_(hidden)
        self._bounds.fill_(hidden.shape[1])  # sequences beyond the last one are empty
        self._bounds[: len(bounds)].copy_(bounds)
        self._ahead.replay()
        return self._out.detach()

    def back(self, gradient: Tensor) -> Tensor:
        """The backward pass of the last forward pass: adds to the parameters' gradients, returns that of the input."""
        self._gradient.copy_(gradient)
        self._back.replay()
        return self._inward.detach()


class _Replay(torch.autograd.Function):
    """The autograd function of a graph, which adds to the parameters' gradients itself."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, bounds: Tensor, graph: _Graph, owner: GraphedLayers) -> Tensor:
        ctx.graph, ctx.owner = graph, owner
        return graph.ahead(hidden, bounds)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        ctx.owner.own_gradients()
        return ctx.graph.back(gradients[0]), None, None, None
