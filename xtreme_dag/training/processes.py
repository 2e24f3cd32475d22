"""One process or several: what the loop needs to know about its companions.

Several processes are started by `torchrun` and joined by Accelerate, as DDP (every process has the whole model) or FSDP
(each has a part). Each process takes its share of the global batch and the gradients are summed, so the step is that of
one process with the whole batch.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, cast

import torch
from torch import Tensor, nn

from xtreme_dag.training.objectives import LossModule
from xtreme_dag.training.optimiser import build_optimiser, load_optimiser, optimiser_tensors
from xtreme_dag.training.recipe import TrainRecipe


class Processes:
    """The processes of a run.

    Args:
        recipe: `strategy` says how the model is spread.
        device: this process's device.
        tasks: how many heads are trained (with several, a step leaves some of them without gradient).

    Attributes:
        rank: number of this process.
        world: how many there are.
    """

    def __init__(self, recipe: TrainRecipe, device: torch.device, tasks: int) -> None:
        self.world = int(os.environ.get("WORLD_SIZE", "1"))
        self.rank = int(os.environ.get("RANK", "0"))
        self._recipe = recipe
        self._accelerator: Any = _accelerator(recipe, device, tasks) if self.world > 1 else None

    @property
    def main(self) -> bool:
        """Whether this process writes."""
        return self.rank == 0

    def prepare(self, module: LossModule) -> tuple[nn.Module, torch.optim.Optimizer]:
        """The module that the loop calls, wrapped where there are companions, and its optimizer."""
        if self._accelerator is None:
            return module, build_optimiser(module, self._recipe)
        if self._recipe.strategy == "fsdp":
            wrapped, optimiser = self._accelerator.prepare(module, build_optimiser(module, self._recipe))
            return cast(nn.Module, wrapped), cast(torch.optim.Optimizer, optimiser)
        wrapped = self._accelerator.prepare(module)
        return cast(nn.Module, wrapped), build_optimiser(module, self._recipe)

    def without_sync(self, module: nn.Module) -> AbstractContextManager[Any]:
        """Gradients stay local inside: all micro-batches of a step but the last."""
        return nullcontext() if self._accelerator is None else self._accelerator.no_sync(module)

    def backward(self, loss: Tensor) -> None:
        """Backward pass; DDP and FSDP average over processes, so the loss is multiplied by their number."""
        (loss * self.world if self.world > 1 else loss).backward()  # type: ignore[no-untyped-call]

    def clip(self, parameters: list[nn.Parameter], norm: float) -> None:
        """Clips the global gradient norm."""
        if self._accelerator is not None and self._recipe.strategy == "fsdp":
            self._accelerator.clip_grad_norm_(parameters, norm)
        else:
            torch.nn.utils.clip_grad_norm_(parameters, norm)

    def total(self, value: Tensor) -> Tensor:
        """The sum of a scalar over processes, without waiting for the device."""
        if self._accelerator is None:
            return value
        return cast(Tensor, self._accelerator.reduce(value, "sum"))

    def weights(self, module: nn.Module) -> dict[str, Tensor]:
        """The whole model's parameters by name (every process must call this)."""
        if self._accelerator is None:
            return dict(module.state_dict())
        return dict(self._accelerator.get_state_dict(module))

    def optimiser_state(self, module: LossModule, optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
        """The optimizer's moments by parameter name."""
        return dict(optimiser_tensors(module, optimiser))

    def load(
        self,
        module: LossModule,
        optimiser: torch.optim.Optimizer,
        weights: Mapping[str, Tensor],
        moments: Mapping[str, Tensor],
    ) -> None:
        """Puts a checkpoint back."""
        self.load_weights(module, weights)
        load_optimiser(module, optimiser, dict(moments))

    def load_weights(self, module: LossModule, weights: Mapping[str, Tensor]) -> None:
        """Puts the whole model's parameters back."""
        module.load_state_dict(dict(weights))

    def wait(self) -> None:
        """Waits for the companions."""
        if self._accelerator is not None:
            self._accelerator.wait_for_everyone()


def _accelerator(recipe: TrainRecipe, device: torch.device, tasks: int) -> Any:
    """Accelerate's view of the processes that torchrun started."""
    from accelerate import Accelerator, DistributedDataParallelKwargs

    handlers = [DistributedDataParallelKwargs(find_unused_parameters=tasks > 1, gradient_as_bucket_view=True)]
    return Accelerator(cpu=device.type == "cpu", mixed_precision="no", kwargs_handlers=handlers)
