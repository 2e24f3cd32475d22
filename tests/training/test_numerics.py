"""Random numbers of training: those of a pass hang on its place in the run alone."""

import torch

from xtreme_dag.training.numerics import part_seed, seed_part


def test_a_pass_on_a_cpu_draws_what_torch_draws_from_its_seed():
    seed_part(torch.device("cpu"), 3, 5, 0, 1)
    drawn = torch.rand(8), torch.nn.functional.dropout(torch.ones(64))
    torch.manual_seed(part_seed(3, 5, 0, 1))
    assert torch.equal(drawn[0], torch.rand(8)) and torch.equal(drawn[1], torch.nn.functional.dropout(torch.ones(64)))


def test_every_place_in_a_run_has_a_seed_of_its_own():
    places = [
        (seed, step, rank, part) for seed in (1, 11) for step in (-1, 1, 11) for rank in (0, 1) for part in (0, 1)
    ]
    assert len({part_seed(*place) for place in places}) == len(places)
