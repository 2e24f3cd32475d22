"""AdamW with decay on weight matrices only, and its state as named tensors."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from xtreme_dag.study.train_recipe import TrainRecipe


def build_optimiser(model: nn.Module, recipe: TrainRecipe) -> torch.optim.AdamW:
    """Fused AdamW: weight decay on matrices, none on biases, norms and scales (everything with fewer than 2 axes)."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [parameter for parameter in parameters if parameter.ndim >= 2], "weight_decay": recipe.weight_decay},
        {"params": [parameter for parameter in parameters if parameter.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        [group for group in groups if group["params"]],
        lr=recipe.learning_rate,
        betas=(recipe.beta1, recipe.beta2),
        eps=recipe.epsilon,
        fused=True,
    )


def set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """The learning rate of the next step."""
    for group in optimiser.param_groups:
        group["lr"] = rate


def optimiser_tensors(model: nn.Module, optimiser: torch.optim.Optimizer) -> Iterator[tuple[str, Tensor]]:
    """The optimizer's state as named tensors: `parameter/entry`."""
    for name, parameter in model.named_parameters():
        for entry, value in sorted(optimiser.state.get(parameter, {}).items()):
            yield f"{name}/{entry}", value


def load_optimiser(model: nn.Module, optimiser: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Puts named tensors back as the optimizer's state."""
    parameters = dict(model.named_parameters())
    for key, value in tensors.items():
        name, entry = key.rsplit("/", 1)
        parameter = parameters[name]
        # the step counter stays where a fused optimizer keeps it: with its parameter
        optimiser.state[parameter][entry] = value.to(parameter.device)
