"""One process or several (DDP, FSDP): what the training loop needs of the other processes.

Several processes are started by `launch` and joined by Accelerate, as DDP (every process has the whole model) or FSDP
(each has a part). Each process takes its share of the global batch and the gradients are summed, so the step is that of
one process with the whole batch.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any, cast

import torch
from torch import Tensor, nn

from xtreme_dag.study.train_recipe import TrainRecipe
from xtreme_dag.training.objectives import LossModule
from xtreme_dag.training.optimiser import build_optimiser, load_optimiser, optimiser_tensors


class Processes:
    """The processes of a run.

    Args:
        recipe: `strategy` says how the model is spread.
        device: this process's device.
        tasks: how many heads are trained (with several, a step leaves some of them without gradient).
        layer: class name of the encoder's layers, the unit of sharding.

    Attributes:
        rank: number of this process.
        world: how many there are.
    """

    def __init__(self, recipe: TrainRecipe, device: torch.device, tasks: int, layer: str) -> None:
        self.world = int(os.environ.get("WORLD_SIZE", "1"))
        self.rank = int(os.environ.get("RANK", "0"))
        self._recipe, self._device, self._layer = recipe, device, layer
        self._accelerator: Any = _accelerator(recipe, device, tasks, layer) if self.world > 1 else None
        # Words between processes go past the device, which would have to be waited for.
        self._words: Any = torch.distributed.new_group(backend="gloo") if self.world > 1 else None

    @property
    def main(self) -> bool:
        """Whether this process writes."""
        return self.rank == 0

    @property
    def sharded(self) -> bool:
        """Whether each process has only a part of the model."""
        return self._accelerator is not None and self._recipe.strategy == "fsdp"

    def prepare(self, module: LossModule) -> tuple[nn.Module, torch.optim.Optimizer]:
        """The module that the loop calls, wrapped where there are other processes, and its optimizer."""
        if not self.sharded:
            optimiser = build_optimiser(module, self._recipe)
            wrapped = module if self._accelerator is None else self._accelerator.prepare(module)
            return cast(nn.Module, wrapped), optimiser
        if self._device.type == "cpu":  # Accelerate shards on accelerators only; this is what it does there
            shard(module, self._layer, self.world)
            return module, build_optimiser(module, self._recipe)
        wrapped, prepared = self._accelerator.prepare(module, build_optimiser(module, self._recipe))
        return cast(nn.Module, wrapped), cast(torch.optim.Optimizer, prepared.optimizer)

    @contextmanager
    def without_sync(self, module: nn.Module) -> Iterator[None]:
        """Gradients stay local inside: all micro-batches of a step but the last."""
        if self.sharded:
            sharded: Any = module
            sharded.set_requires_gradient_sync(False)
            yield
            sharded.set_requires_gradient_sync(True)
        else:
            with nullcontext() if self._accelerator is None else self._accelerator.no_sync(module):
                yield

    def backward(self, loss: Tensor) -> None:
        """Backward pass; DDP and FSDP average over processes, so the loss is multiplied by their number."""
        run: Any = (loss * self.world if self.world > 1 else loss).backward
        run()

    def total(self, value: Tensor) -> Tensor:
        """The sum of a scalar over processes, without waiting for the device."""
        return value if self._accelerator is None else cast(Tensor, self._accelerator.reduce(value, "sum"))

    def weights(self, module: LossModule) -> dict[str, Tensor]:
        """The whole model's parameters by name, without those that do not train (every process must call this)."""
        frozen = self._frozen(module)
        return {name: _whole(value) for name, value in module.state_dict().items() if name not in frozen}

    def moments(self, module: LossModule, optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
        """The optimizer's state by parameter name and entry (every process must call this)."""
        return {name: _whole(value) for name, value in optimiser_tensors(module, optimiser)}

    def load(
        self,
        module: LossModule,
        optimiser: torch.optim.Optimizer,
        weights: Mapping[str, Tensor],
        moments: Mapping[str, Tensor],
    ) -> None:
        """Puts a checkpoint back, each process its part."""
        self.load_weights(module, weights)
        parameters = dict(module.named_parameters())
        parts = {
            key: _part_like(parameters[key.rsplit("/", 1)[0]], value) if value.ndim else value
            for key, value in moments.items()
        }
        load_optimiser(module, optimiser, parts)

    def load_weights(self, module: LossModule, weights: Mapping[str, Tensor]) -> None:
        """Puts what `weights` gave back, each process its part."""
        there = module.state_dict()
        frozen = {name: there[name] for name in self._frozen(module)}
        module.load_state_dict({**frozen, **{name: _part_like(there[name], value) for name, value in weights.items()}})

    def _frozen(self, module: LossModule) -> set[str]:
        """Parameters that stay as the model had them when it was loaded; a sharded model is put together with them."""
        named = () if self.sharded else module.named_parameters()
        return {name for name, value in named if not value.requires_grad}

    def agreed(self, value: int) -> int:
        """The first process's number, in all of them (every process must call this)."""
        if self._words is None:
            return value
        told = torch.tensor(value)
        torch.distributed.broadcast(told, src=0, group=self._words)
        return int(told)

    def wait(self) -> None:
        """Waits for the other processes."""
        if self._accelerator is not None:
            self._accelerator.wait_for_everyone()


def _accelerator(recipe: TrainRecipe, device: torch.device, tasks: int, layer: str) -> Any:
    """Accelerate's view of the processes that `launch` started.

    What the plugin below leaves open (offloading, prefetching) follows Accelerate's own configuration, its FSDP_*
    variables.
    """
    from accelerate import Accelerator, DistributedDataParallelKwargs, FullyShardedDataParallelPlugin

    plugin = None
    if recipe.strategy == "fsdp" and device.type != "cpu":
        plugin = FullyShardedDataParallelPlugin(
            fsdp_version=2,
            auto_wrap_policy="transformer_based_wrap",
            transformer_cls_names_to_wrap=[layer],
            cpu_ram_efficient_loading=False,
        )
    unused = DistributedDataParallelKwargs(find_unused_parameters=tasks > 1, gradient_as_bucket_view=True)
    return Accelerator(
        cpu=device.type == "cpu", mixed_precision="no", fsdp_plugin=plugin, kwargs_handlers=[] if plugin else [unused]
    )


def shard(module: nn.Module, layer: str, world: int) -> None:
    """Shards a module in place over `world` CPU processes: each layer of this class, then what remains."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh("cpu", (world,))
    for part in module.modules():
        if type(part).__name__ == layer:
            fully_shard(part, mesh=mesh)
    fully_shard(module, mesh=mesh)


def _whole(value: Tensor) -> Tensor:
    """A sharded tensor put together, any other as it is."""
    return cast(Tensor, cast(Any, value).full_tensor()) if _is_sharded(value) else value


def _part_like(there: Tensor, value: Tensor) -> Tensor:
    """A whole tensor cut as another one is."""
    if not _is_sharded(there):
        return value
    from torch.distributed.tensor import DTensor, distribute_tensor

    sharded = cast(DTensor, there)
    return distribute_tensor(value.to(sharded.device), sharded.device_mesh, sharded.placements)


def _is_sharded(value: Tensor) -> bool:
    """Whether it is a DTensor, whose module takes two seconds to import and is imported wherever there is one."""
    return hasattr(value, "full_tensor")
