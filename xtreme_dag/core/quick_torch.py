"""Importing torch without its compiler (`torch._dynamo`, and sympy with it) until somebody compiles.

Torch asks its compiler to leave some functions alone: optimizers, recomputed activations. For that alone it imports the
compiler when the first of them is called. A process that has not imported it compiles nothing, so there is nobody who
would have to leave them alone; in one that has, torch's own way is taken. Likewise with what it tells the compiler.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import partial, wraps
from types import FunctionType
from typing import Any

_KNOWN = "2.13."  # the version that this was written for
_SETTINGS = "torch._inductor.config"
_told: list[bool] = []  # whether the compiler is to be deterministic, until it has been told
_allowed: list[Callable[..., Any]] = []  # what the compiler is to take as it is, once it is there


def _compiles() -> bool:
    return "torch._dynamo" in sys.modules


def _unless_compiled(plain: Callable[..., Any], left_alone: Callable[[], Callable[..., Any]]) -> Callable[..., Any]:
    """A function that is torch's once there is a compiler, and the plain one before.

    Args:
        plain: what it does where nothing is compiled.
        left_alone: gives torch's, that keeps the compiler away; called once.
    """
    found: list[Callable[..., Any]] = []

    @wraps(plain)
    def call(*arguments: Any, **named: Any) -> Any:
        if not _compiles():
            return plain(*arguments, **named)
        if not found:
            found.append(left_alone())
        return found[0](*arguments, **named)

    return call


def _leave_alone(module: Any) -> None:
    """`torch._compile`: the decorator within torch."""
    own: Callable[..., Any] = module._disable_dynamo

    @wraps(own)
    def disable(fn: Callable[..., Any] | None = None, recursive: bool = True) -> Any:
        if fn is None:
            return partial(disable, recursive=recursive)
        return _unless_compiled(fn, partial(own, fn, recursive))

    module._disable_dynamo = disable


def _mark_for_others(module: Any) -> None:
    """`torch.compiler`: the decorators for everybody else."""
    own: Callable[..., Any] = module.disable
    own_allow: Callable[..., Any] = module.allow_in_graph
    own_constant: Callable[..., Any] = module.assume_constant_result

    @wraps(own)
    def disable(fn: Any = None, recursive: bool = True, *, reason: str | None = None) -> Any:
        if _compiles():
            return own(fn, recursive, reason=reason)
        if fn is None:
            return partial(disable, recursive=recursive, reason=reason)
        if not isinstance(fn, FunctionType):  # a module or a class, that is changed in place
            return own(fn, recursive, reason=reason)
        found: Any = _unless_compiled(fn, partial(own, fn, recursive, reason=reason))
        found._torchdynamo_disable, found._torchdynamo_disable_msg = True, reason  # by this the compiler knows it
        return found

    @wraps(own_allow)
    def allow_in_graph(fn: Any) -> Any:
        if _compiles() or not isinstance(fn, FunctionType):
            return own_allow(fn)
        _allowed.append(fn)
        return fn

    @wraps(own_constant)
    def assume_constant_result(fn: Any) -> Any:
        if _compiles():
            return own_constant(fn)
        fn._dynamo_marked_constant = True  # all that the compiler does, and looks for
        return fn

    module.disable, module.allow_in_graph = disable, allow_in_graph
    module.assume_constant_result = assume_constant_result


def _allow(module: Any) -> None:
    """`torch._dynamo`, the compiler: takes what was marked before it was there, and does not look into these functions."""
    while _allowed:
        module.allow_in_graph(_allowed.pop())
    module.trace_rules.add(__name__)  # as it does not look into those of torch that they stand for


def _step_without_compiler(module: Any) -> None:
    """`torch.optim.optimizer`: what sets whether a step has gradients, and tells the compiler where it begins."""
    own: Callable[..., Any] = module._use_grad_for_differentiable

    @wraps(own)
    def use_grad(step: Callable[..., Any]) -> Callable[..., Any]:
        def plain(optimiser: Any, *arguments: Any, **named: Any) -> Any:
            import torch

            with torch.set_grad_enabled(optimiser.defaults["differentiable"]):
                return step(optimiser, *arguments, **named)

        return _unless_compiled(wraps(step)(plain), partial(own, step))

    module._use_grad_for_differentiable = use_grad


def _tell_later(module: Any) -> None:
    """`torch`: whether algorithms are to be deterministic, which it imports the compiler's settings to say there, too."""
    own: Callable[..., Any] = module.use_deterministic_algorithms

    @wraps(own)
    def use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
        if _SETTINGS in sys.modules:
            own(mode, warn_only=warn_only)
        else:
            module._C._set_deterministic_algorithms(mode, warn_only=warn_only)
            _told[:] = [mode]

    module.use_deterministic_algorithms = use_deterministic_algorithms


def _hear(settings: Any) -> None:
    """`torch._inductor.config`: what was said before it was there."""
    while _told:
        settings.deterministic = _told.pop()


def _if_known(do: Callable[[Any], None]) -> Callable[[Any], None]:
    """What is done to a module of the torch whose text was read; another version's stays as it is."""

    def after(module: Any) -> None:
        if str(getattr(sys.modules.get("torch"), "__version__", "")).startswith(_KNOWN):
            do(module)

    return after


# Module -> what is done to it once it has run.
THEN: Mapping[str, Callable[[Any], None]] = {
    "torch": _if_known(_tell_later),
    "torch._compile": _if_known(_leave_alone),
    "torch._dynamo": _if_known(_allow),
    "torch.compiler": _if_known(_mark_for_others),
    _SETTINGS: _if_known(_hear),
    "torch.optim.optimizer": _if_known(_step_without_compiler),
}
