"""Recorded layers: shapes, padding, and on a CUDA device the same states and gradients as without recording."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.model.test_packed_encoder import ragged
from tests.model.zoo import config_of
from xtreme_dag.model import graphs, pack
from xtreme_dag.model.encoder import LAYERED
from xtreme_dag.model.folder import new_encoder
from xtreme_dag.model.graphs import GraphedLayers, length_step, token_step
from xtreme_dag.model.packed import bucketed

LENGTHS = [7, 33, 20, 110, 2, 19]


@given(tokens=st.integers(1, 100_000), longest=st.integers(1, 514))
def test_shapes_are_few_and_near(tokens, longest):
    step = token_step(tokens)
    assert step & (step - 1) == 0 and step >= 32
    assert -tokens % step <= max(31, tokens / 16)
    assert longest <= length_step(longest) <= max(128, 2 * longest)


@given(lengths=st.lists(st.integers(1, 60), min_size=1, max_size=9), size=st.sampled_from([32, 256, 1024]))
def test_padding_is_sequences_of_its_own(lengths, size):
    tokens = pack(ragged(lengths))
    shaped = bucketed(tokens, size, pad=1)
    real = sum(lengths)
    assert len(shaped.input_ids) % size == 0 and len(shaped.input_ids) - real < size
    assert shaped.input_ids[:real].equal(tokens.input_ids) and bool((shaped.input_ids[real:] == 1).all())
    assert shaped.lengths[: len(lengths)] == tokens.lengths and max(shaped.lengths) <= max(128, *lengths)
    assert torch.tensor(shaped.lengths).cumsum(0).equal(shaped.bounds[1:].long())
    assert sum(shaped.lengths) == len(shaped.input_ids) == len(shaped.positions)


@pytest.mark.parametrize("kind", sorted(LAYERED))
def test_what_stands_for_the_layers_changes_neither_states_nor_names(kind):
    encoder = new_encoder(config_of(kind), seed=3)
    for module in encoder.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    encoder.train()
    tokens = pack(ragged(LENGTHS))
    at = torch.tensor([0, 7, 40, 60])
    with torch.no_grad():
        whole, wanted, names = encoder(tokens), encoder(tokens, at), list(encoder.state_dict())
        encoder.graph_layers()
        torch.testing.assert_close(encoder(tokens), whole)
        torch.testing.assert_close(encoder(tokens, at), wanted)
        assert len(encoder.every_layer(tokens)) == encoder.layers + 1
        before = encoder._graphed
        encoder.record_anew()
        assert encoder._graphed is not None and encoder._graphed is not before
        torch.testing.assert_close(encoder(tokens), whole)
    assert list(encoder.state_dict()) == names and not any(isinstance(m, GraphedLayers) for m in encoder.modules())
    encoder.forget_graphs()
    encoder.record_anew()
    assert encoder.graphs == 0 and encoder._graphed is None


def pass_through(encoder, batches, seed):
    """The gradients of a few passes, with the states of each."""
    encoder.zero_grad(set_to_none=True)
    found = []
    for number, lengths in enumerate(batches):
        tokens = pack(ragged(lengths, seed=number), device="cuda")
        torch.manual_seed(seed + number)
        with torch.autocast("cuda", dtype=torch.bfloat16):
            states = encoder(tokens)
        (states.float() * torch.linspace(-1, 1, states.shape[1], device="cuda")).sum().backward()
        found.append(states.detach().float().clone())
    return found, {name: each.grad.clone() for name, each in encoder.named_parameters() if each.grad is not None}


if torch.cuda.is_available():

    @pytest.mark.parametrize("kind", sorted(LAYERED))
    @pytest.mark.parametrize("dropout", [0.0, 0.3])
    def test_recorded_passes_give_what_passes_give(kind, dropout, monkeypatch):
        """With dropout both run at the recorded shape, so that the same numbers are drawn."""
        config = config_of(kind)
        config.hidden_dropout_prob = dropout
        encoder = new_encoder(config, seed=3).to("cuda").train()
        rounds = [[LENGTHS, [5, 90], LENGTHS], [[5, 90]], [LENGTHS, [120, 100, 70, 2]]]
        encoder.graph_layers()
        recorded = [pass_through(encoder, batches, seed) for seed, batches in enumerate(rounds)]
        again = [pass_through(encoder, batches, seed) for seed, batches in enumerate(rounds)]
        assert encoder.graphs == 3
        for (states, gradients), (same, equal) in zip(recorded, again, strict=True):
            assert all(a.equal(b) for a, b in zip(states, same, strict=True))
            assert all(gradients[name].equal(equal[name]) for name in gradients)
        encoder.graph_layers()
        monkeypatch.setattr(graphs, "_SHAPES", 0)
        plain = [pass_through(encoder, batches, seed) for seed, batches in enumerate(rounds)]
        assert encoder.graphs == 0
        for (states, gradients), (eager, own) in zip(recorded, plain, strict=True):
            for a, b in zip(states, eager, strict=True):
                torch.testing.assert_close(a, b, atol=2e-2, rtol=2e-2)
            assert set(gradients) == set(own)
            for name in gradients:
                torch.testing.assert_close(gradients[name], own[name], atol=5e-2, rtol=5e-2)
