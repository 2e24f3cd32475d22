"""Importing torch, transformers and Great Expectations without what most processes never call.

Most of the import of a text encoder has nothing to do with one: torch's compiler and its tensors that are spread over
processes, Accelerate, scipy, charts. Each comes when it is first used: `_LATE` names what is imported where, and
`quick_torch.py` and `quick_transformers.py` do the rest. A process that uses all of it imports all of it, a bit later.
Weights, numbers and errors are what they were.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import CodeType, ModuleType
from typing import Any

from xtreme_dag.core import quick_torch, quick_transformers

_METRICS = "great_expectations.expectations.metrics.column_aggregate_metrics"
# Module -> what it imports, and only calls or asks whether something is one: functions, classes, modules.
_LATE: Mapping[str, frozenset[str]] = {
    "great_expectations.expectations.core.expect_column_kl_divergence_to_be_less_than": frozenset({"altair", "scipy"}),
    f"{_METRICS}.column_bootstrapped_ks_test_p_value": frozenset({"scipy"}),
    f"{_METRICS}.column_parameterized_distribution_ks_test_p_value": frozenset({"scipy"}),
    "huggingface_hub.serialization._torch": frozenset({"torch.distributed.tensor"}),
    "transformers.generation.utils": frozenset({"accelerate.hooks"}),
    "transformers.integrations.accelerate": frozenset({"accelerate", "accelerate.utils", "accelerate.utils.modeling"}),
    "transformers.integrations.peft": frozenset({"accelerate", "accelerate.utils"}),
    "transformers.masking_utils": frozenset({"torch._dynamo._trace_wrapped_higher_order_op"}),
    "transformers.modeling_utils": frozenset({"accelerate.hooks", "accelerate.utils"}),
    **{
        f"transformers.loss.loss_{kind}": frozenset({"accelerate", "accelerate.utils", "scipy.optimize"})
        for kind in ("deformable_detr", "for_object_detection", "grounding_dino", "lw_detr", "rf_detr", "rt_detr")
    },
}
# Modules that mark functions for torch's compiler: `torch.compiler` has the same marks, and waits with them.
_MARKING = frozenset(f"transformers.integrations.{name}" for name in ("deepgemm", "finegrained_fp8", "sonicmoe"))
_LATER = " (later)"  # behind the name of a module, for what stands for it: no import statement of anybody asks for that
_THEN: Mapping[str, Callable[[Any], None]] = {**quick_torch.THEN, **quick_transformers.THEN}
_TOUCHED = frozenset({*_LATE, *_MARKING, *_THEN})


def install() -> None:
    """Makes later imports quick; what is imported already stays as it is."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


class _Finder:
    """Finds modules as Python does; some import less, and some have something done to them once they have run."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """See `importlib.abc.MetaPathFinder.find_spec`."""
        if name not in _TOUCHED:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is None or type(spec.loader) is not SourceFileLoader:  # other loaders may serve several modules
            return spec
        loader: Any = spec.loader
        read: Callable[[str], CodeType | None] = loader.get_code
        run: Callable[[ModuleType], None] = loader.exec_module

        def read_late(fullname: str) -> CodeType | None:
            code = read(fullname)
            if code is not None and name in _LATE:
                return with_late_imports(code, _LATE[name])
            if code is not None and name in _MARKING:
                return renamed(code, {"_dynamo": "compiler"}, "LOAD_ATTR")
            return code

        def run_and_do(module: ModuleType) -> None:
            run(module)
            if do := _THEN.get(name):
                with suppress(AttributeError):  # of another version, that stays as it is
                    do(module)

        loader.get_code, loader.exec_module = read_late, run_and_do
        return spec


def with_late_imports(code: CodeType, modules: Iterable[str]) -> CodeType:
    """The code of a module, whose import statements for other modules give what stands for them."""
    for name in modules:
        sys.modules.setdefault(name + _LATER, _Stand(name + _LATER))
    return renamed(code, {name: name + _LATER for name in modules}, "IMPORT_NAME")


def renamed(code: CodeType, names: Mapping[str, str], operation: str) -> CodeType:
    """The code, and that of its functions, with other names in instructions of one kind.

    A name that a function has for something else, too, stays as it is there.
    """
    parts = tuple(renamed(part, names, operation) if isinstance(part, CodeType) else part for part in code.co_consts)
    if names.keys().isdisjoint(code.co_names):
        return code.replace(co_consts=parts)
    import dis

    others = {
        found.argval
        for found in dis.get_instructions(code)
        if found.opcode in dis.hasname and found.opname != operation
    }
    kept = tuple(name if name in others else names.get(name, name) for name in code.co_names)
    return code.replace(co_consts=parts, co_names=kept)


class _Stand(ModuleType):
    """Stands for a module in the import statements of another one."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        found = self.__dict__[name] = Late(self.__name__.removesuffix(_LATER), name)
        return found


class Late:
    """A function or a class of a module, or a module in it, that is imported when it is used.

    Args:
        module: the module.
        name: what of it.
    """

    _module = _name = ""  # of a copy that is being made

    def __init__(self, module: str, name: str) -> None:
        self._module, self._name = module, name

    def _real(self) -> Any:
        from importlib import import_module

        module = import_module(self._module)
        if hasattr(module, self._name):
            return getattr(module, self._name)
        return import_module(f"{self._module}.{self._name}")

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """Calls it."""
        return self._real()(*arguments, **named)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real(), name)

    def __deepcopy__(self, _memo: object) -> Late:
        """Itself, as of a function."""
        return self

    def __instancecheck__(self, one: object) -> bool:
        # Nothing is of a class whose module nobody has imported.
        return self._module in sys.modules and isinstance(one, self._real())

    def __dir__(self) -> Iterator[str]:
        yield from dir(self._real())

    @property
    def __signature__(self) -> Any:
        """What `inspect.signature` says of it."""
        from inspect import signature

        return signature(self._real())
