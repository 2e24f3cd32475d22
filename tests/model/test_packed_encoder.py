"""The packed encoder gives what the padded batch gives."""

from copy import deepcopy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from transformers import AutoModel

from tests.model.zoo import config_of
from tests.training.worlds import WORDS, tiny_config
from xtreme_dag.core.errors import UserError
from xtreme_dag.model import attention, pack
from xtreme_dag.model.encoder import PACKABLE, PADDED, PackedEncoder, length_buckets
from xtreme_dag.model.folder import encoder_class, new_encoder

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


def ragged(lengths, seed=0):
    """Random sequences, none of them with the padding id."""
    random = np.random.default_rng(seed)
    return [random.integers(5, 5 + WORDS, size=length).tolist() for length in lengths]


def padded(encoder, config, sequences, types):
    """What transformers' own padded batch gives for the same weights, real tokens only, all states."""
    reference = encoder_class(config, "")(deepcopy(config)).eval()
    reference.load_state_dict(encoder.backbone.state_dict(), strict=False)
    width = max(len(row) for row in sequences)
    ids = torch.tensor([row + [config.pad_token_id] * (width - len(row)) for row in sequences])
    mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in sequences])
    kinds = torch.tensor([row + [0] * (width - len(row)) for row in types])
    extra = {"token_type_ids": kinds} if encoder.uses_types else {}
    with torch.no_grad():
        output = reference(input_ids=ids, attention_mask=mask, output_hidden_states=True, **extra)
    return [state[mask.bool()] for state in output.hidden_states]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("kind", sorted(PACKABLE | PADDED))
def test_every_layer_equals_the_padded_batch(kind, device):
    config = config_of(kind)
    encoder = new_encoder(config, seed=3).eval()
    sequences = ragged([7, 1, 33, 20, 2, 19])
    types = [[int(place > 2) for place in range(len(row))] for row in sequences]
    wanted = padded(encoder, config, sequences, types)
    flat_types = np.concatenate([np.array(row) for row in types])
    tokens = pack(sequences, type_ids=flat_types, device=device)
    with torch.no_grad():
        states = encoder.to(device).every_layer(tokens)
        last = encoder(tokens)
    assert len(states) == len(wanted) == encoder.layers + 1
    for state, reference in zip(states, wanted, strict=True):
        torch.testing.assert_close(state.cpu(), reference, atol=2e-5, rtol=1e-4)
    torch.testing.assert_close(last.cpu(), states[-1].cpu())
    assert encoder.packs == (kind in PACKABLE)
    at = torch.tensor([0, 7, 8, 40], device=device)
    with torch.no_grad():
        torch.testing.assert_close(encoder(tokens, at), last[at], atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(encoder.first_states(tokens), last[tokens.first], atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(encoder(tokens), last)


@pytest.mark.parametrize("kind", ["bert", "xlm-roberta"])
def test_first_tokens_need_no_keys_nor_values_of_the_others(kind):
    """In single precision on a CPU, whatever layer is the last one; elsewhere as `forward` does it."""
    encoder = new_encoder(config_of(kind), seed=3).eval()
    tokens = pack(ragged([9, 9, 4, 30, 30, 30, 1]))
    made = []
    attention_of_last = encoder.own_layers()[-1].attention.self
    for part in (attention_of_last.query, attention_of_last.key, attention_of_last.value):
        part.register_forward_hook(lambda *call: made.append(len(call[2].squeeze(0))))
    with torch.no_grad():
        for layers in (encoder.own_layers()[:1], encoder.own_layers()):
            with encoder.running(layers):
                wanted = encoder(tokens)[tokens.first]
                made.clear()
                torch.testing.assert_close(encoder.first_states(tokens), wanted, atol=1e-5, rtol=1e-4)
        assert made == [tokens.sequences]
        with encoder.running(encoder.own_layers()[:0]):
            torch.testing.assert_close(encoder.first_states(tokens), encoder(tokens)[tokens.first])
        made.clear()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            torch.testing.assert_close(encoder.first_states(tokens), encoder(tokens, tokens.first))
        encoder.train()(tokens)
        encoder.first_states(tokens)
    assert made == [tokens.input_ids.numel()] * 12


def test_neighbours_of_equal_length_attend_as_if_alone():
    """Nor does what dropout leaves out hang on the neighbours' lengths."""
    assert attention.runs([3, 3, 2, 3, 1, 1]) == [(3, 2), (2, 1), (3, 1), (1, 2)]
    lengths = [6, 6, 6, 5, 6, 1, 1]
    states = torch.randn(3, 1, 2, sum(lengths), 8, generator=torch.Generator().manual_seed(0))
    whole = attention.Boundaries(bounds=torch.empty(0), lengths=tuple(lengths), longest=6, backend="split")
    pieces = [states.split(lengths, dim=3)[number] for number in range(len(lengths))]
    for dropout in (0.0, 0.5):
        torch.manual_seed(1)
        together = attention.split_attention(*states, whole, dropout, None)
        torch.manual_seed(1)
        alone = [
            attention.split_attention(
                *piece, attention.Boundaries(bounds=whole.bounds, lengths=(length,), longest=6, backend="split"),
                dropout, None,
            )
            for piece, length in zip(pieces, lengths, strict=True)
        ]  # fmt: skip
        torch.testing.assert_close(together, torch.cat(alone, dim=1), atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_half_precision_attention_is_trained_on_a_cpu_in_single_precision(dropout):
    lengths = (6, 3, 1)
    packing = attention.Boundaries(bounds=torch.empty(0), lengths=lengths, longest=6, backend="split")
    half = [torch.randn(1, 2, 10, 8, dtype=torch.bfloat16, requires_grad=True) for _ in range(3)]
    full = [states.detach().float().requires_grad_() for states in half]
    found = []
    for states in (half, full):
        torch.manual_seed(1)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=states is half):
            out = attention.split_attention(*states, packing, dropout, None)
        found.append((out, *torch.autograd.grad(out.float().sum(), states)))
    for one, other in zip(*found, strict=True):
        assert one.dtype == torch.bfloat16
        torch.testing.assert_close(one, other.bfloat16(), atol=0, rtol=0)


def test_recomputed_activations_give_the_same_gradients():
    """The last layer is narrowed to the wanted tokens when it is recomputed, too."""
    tokens, at = pack(ragged([5, 9, 4])), torch.tensor([0, 5, 14])
    encoder = new_encoder(tiny_config(), seed=2).train()

    def gradients():
        encoder.zero_grad(set_to_none=True)
        encoder(tokens, at).pow(2).sum().backward()
        return [parameter.grad.clone() for parameter in encoder.parameters() if parameter.grad is not None]

    plain = gradients()
    encoder.backbone.gradient_checkpointing_enable({"use_reentrant": False})
    for one, two in zip(gradients(), plain, strict=True):
        torch.testing.assert_close(one, two)


@settings(max_examples=25, deadline=None)
@given(lengths=st.lists(st.integers(1, 40), min_size=1, max_size=12), seed=st.integers(0, 5))
def test_company_changes_nothing(lengths, seed):
    """A sequence's states do not depend on what it is packed with, nor on the order."""
    encoder = ENCODER
    sequences = ragged(lengths, seed)
    with torch.no_grad():
        together = encoder(pack(sequences)).split(lengths)
        backwards = encoder(pack(sequences[::-1])).split(lengths[::-1])[::-1]
        alone = [encoder(pack([row])) for row in sequences]
    for one, two, three in zip(together, backwards, alone, strict=True):
        torch.testing.assert_close(one, three, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(two, three, atol=1e-5, rtol=1e-4)


ENCODER = new_encoder(tiny_config(), seed=1).eval()


def test_attention_dropout_is_applied_and_seeded():
    config = tiny_config(dropout=0.5)
    config.hidden_dropout_prob = 0.0
    encoder = new_encoder(config, seed=1).train()
    tokens = pack(ragged([5, 9]))

    def run(seed):
        torch.manual_seed(seed)
        return encoder(tokens)

    assert torch.equal(run(1), run(1))
    assert not torch.equal(run(1), run(2))
    assert not torch.equal(run(1), encoder.eval()(tokens))


def test_backend_choice():
    cpu, cuda = torch.device("cpu"), torch.device("cuda")
    assert attention.backend_for(cpu, torch.float32) == "split"
    assert attention.backend_for(cpu, torch.bfloat16) == "split"
    assert attention.backend_for(cuda, torch.float32) == "split"
    assert attention.backend_for(cuda, torch.bfloat16) in ("varlen", "flash")
    assert not attention.drops_attention("varlen")
    assert attention.drops_attention("split")


def test_a_sequence_beyond_the_positions_is_refused():
    with pytest.raises(UserError, match="129 tokens and the encoder takes 128"):
        ENCODER(pack(ragged([129])))


def test_packing_states_its_boundaries():
    tokens = pack([[5, 6, 7], [8], [9, 10]])
    assert tokens.lengths == (3, 1, 2)
    assert tokens.bounds.tolist() == [0, 3, 4, 6]
    assert tokens.positions.tolist() == [0, 1, 2, 0, 0, 1]
    assert tokens.first.tolist() == [0, 3, 4]
    assert tokens.sequence_of_token().tolist() == [0, 0, 0, 1, 2, 2]
    with pytest.raises(ValueError, match="not 2 sequences"):
        pack(np.arange(3), np.array([3, 0]))


@given(st.lists(st.integers(1, 500), min_size=1, max_size=200))
def test_length_buckets_are_a_partition_of_similar_lengths(lengths):
    array = np.array(lengths)
    buckets = length_buckets(array)
    assert sorted(np.concatenate(buckets).tolist()) == list(range(len(lengths)))
    assert all(array[rows].min() >= 0.8 * array[rows].max() for rows in buckets)


def test_position_rule_is_the_models_own():
    for kind in sorted(PACKABLE):
        encoder = PackedEncoder(AutoModel.from_config(config_of(kind)))
        parts = dict(encoder.backbone.named_modules())
        table = next((part for name, part in parts.items() if name.endswith("position_embeddings")), None)
        padding = getattr(table, "padding_idx", None)
        assert encoder.position_offset == (0 if padding is None else padding + 1), kind


class Written(TorchDispatchMode):
    """Counts the numbers that operations write."""

    count = 0

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        out = function(*arguments, **(options or {}))
        self.count += sum(one.numel() for one in tree_leaves(out) if isinstance(one, torch.Tensor))
        return out


def test_attention_and_its_gradient_grow_with_the_tokens_not_with_their_square():
    written = {}
    for sequences in (50, 100):
        lengths = tuple(1 + row % 2 for row in range(sequences))
        bounds = torch.tensor([0, *lengths]).cumsum(0).int()
        packing = attention.Boundaries(bounds=bounds, lengths=lengths, longest=2, backend="split")
        states = [torch.ones(1, 2, sum(lengths), 4, requires_grad=True) for _ in range(3)]
        with Written() as counter:
            attention.split_attention(*states, packing, 0.0, None).sum().backward()
        written[sequences] = counter.count
    assert written[100] == pytest.approx(2 * written[50], rel=0.05)
