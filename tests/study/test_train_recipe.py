"""Recipes: mistakes are named, the schedule is transformers' own."""

import pytest
import torch
from transformers import get_linear_schedule_with_warmup

from xtreme_dag.core.errors import UserError
from xtreme_dag.study.train_recipe import TrainRecipe


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"learning_rat": 1}, "did you mean 'learning_rate'"),
        ({"learning_rate": "fast"}, "recipe: learning_rate: 'fast' is not a number"),
        ({"batch_size": 1.5}, "batch_size: 1.5 is not a whole number"),
        ({"batch_size": True}, "not a whole number"),
        ({"batch_size": 0}, "0 is not positive"),
        ({"steps": -1}, "not positive"),
        ({"schedule": "cosine"}, "not one of linear, constant"),
        ({"warmup": 1.5}, "a share or whole steps"),
        ({"dropout": 1.0}, "in \\[0, 1\\)"),
        ({"beta1": 1}, "between 0 and 1"),
        ({"tf32": 1}, "true or false"),
        ({"out_of_memory": "pray"}, "fail, halve"),
    ],
)
def test_mistakes_are_named(params, message):
    with pytest.raises(UserError, match=message):
        TrainRecipe.from_params(params)


def test_defaults_and_whole_numbers_for_reals():
    assert TrainRecipe.from_params({}) == TrainRecipe()
    assert TrainRecipe.from_params({"epochs": 2, "micro_batch_tokens": None}).epochs == 2.0


@pytest.mark.parametrize("warmup", [0, 0.1, 7])
def test_rates_are_those_of_transformers(warmup):
    recipe = TrainRecipe.from_params({"warmup": warmup, "learning_rate": 0.01})
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.01)
    reference = get_linear_schedule_with_warmup(optimiser, recipe.warmup_steps(50), 50)
    for step in range(50):
        assert recipe.rate(step, 50) == pytest.approx(optimiser.param_groups[0]["lr"], abs=1e-12)
        optimiser.step()
        reference.step()
    constant = TrainRecipe(schedule="constant", warmup=5, learning_rate=0.01)
    assert [constant.rate(step, 20) for step in (0, 4, 5, 19)] == pytest.approx([0.0, 0.008, 0.01, 0.01])
