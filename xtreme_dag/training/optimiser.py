"""AdamW with decay on weight matrices only, and its state as named tensors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from xtreme_dag.study.train_recipe import TrainRecipe


def build_optimiser(model: nn.Module, recipe: TrainRecipe) -> torch.optim.AdamW:
    """Fused AdamW: weight decay on matrices, none on biases, norms and scales (everything with fewer than 2 axes).

    Heads are groups of their own: `times` is how many times the encoder's learning rate theirs is.
    """
    trained = [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
    times = (recipe.head_learning_rate or recipe.learning_rate) / recipe.learning_rate
    groups: list[dict[str, Any]] = [
        {
            "params": [value for name, value in trained if (_of_head(name), value.ndim >= 2) == (heads, matrices)],
            "weight_decay": recipe.weight_decay if matrices else 0.0,
            "times": times if heads else 1.0,
        }
        for heads in (False, True)
        for matrices in (True, False)
    ]
    return torch.optim.AdamW(
        [group for group in groups if group["params"]],
        lr=recipe.learning_rate,
        betas=(recipe.beta1, recipe.beta2),
        eps=recipe.epsilon,
        fused=True,
    )


def _of_head(name: str) -> bool:
    """Whether a parameter belongs to a head: `heads.` at the start, or behind the name of what holds the model."""
    return "heads" in name.split(".")[:2]


def set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """The learning rate of the next step; of heads with a rate of their own, as many times that."""
    for group in optimiser.param_groups:
        group["lr"] = rate * group["times"]


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
