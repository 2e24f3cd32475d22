"""Each head's packed loss and gradients against the padded batch, over ragged batches."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional
from transformers import AutoModelForMaskedLM, AutoModelForSequenceClassification, AutoModelForTokenClassification

from tests.training.worlds import FORMATS, LABELS_OF, make_base, make_encoded, tiny_config
from xtreme_dag.heads import HeadSpec, training_of
from xtreme_dag.heads.trained import load_model
from xtreme_dag.model.layers import initialise
from xtreme_dag.training.objectives import LossModule, on_device
from xtreme_dag.training.pools import Part, Pool, masking_for
from xtreme_dag.training.selection import parts_by_tokens
from xtreme_dag.training.tables import training_table

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
HEADS = sorted(FORMATS)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A base model and one pool per head."""
    folder = tmp_path_factory.mktemp("losses")
    base = make_base(folder / "base")
    pools = {}
    for head in HEADS:
        source = training_table(make_encoded(folder / head, head, 40, base), head)
        part = Part(source=source, dataset=head, language="en", rows=np.arange(40))
        spec = HeadSpec(kind=head, labels=tuple(LABELS_OF.get(head, ())))
        pools[head] = Pool(name="task", spec=spec, parts=(part,))
    return base, pools


def model_for(base, pool):
    """The base model with an initialised head and no dropout."""
    model = load_model(base)
    initialise(model.add_head("task", pool.spec), 0.2, 1)
    return model


def batch_of(pool, rows):
    """A host batch, masked where the head predicts words."""
    batch = pool.batch(rows)
    masking = masking_for(pool, 0.3)
    return masking.apply(batch, 5, 0) if masking else batch


def pad(rows, value):
    """Lists as a rectangle."""
    width = max(len(row) for row in rows)
    return torch.tensor([[*row, *[value] * (width - len(row))] for row in rows])


def padded_loss(model, base, pool, batch):
    """The mean loss as a padded batch gives it, with transformers' own models and heads where it has them."""
    kind, head = pool.spec.kind, model.heads["task"]
    cuts = np.cumsum(batch.lengths)[:-1]
    sequences = [part.tolist() for part in np.split(batch.ids, cuts)]
    ids, mask = pad(sequences, 1), pad([[1] * len(row) for row in sequences], 0)
    config = tiny_config()
    config.num_labels = max(2, len(pool.spec.labels))
    if kind == "classification":
        reference = AutoModelForSequenceClassification.from_config(config)
        reference.classifier.dense, reference.classifier.out_proj = head.dense, head.out
        labels = torch.from_numpy(batch.example_gold["label"]).long()
    elif kind == "tagging":
        reference = AutoModelForTokenClassification.from_config(config)
        reference.classifier = head.out
        labels = pad([part.tolist() for part in np.split(batch.token_gold["labels"], cuts)], -100)
    elif kind == "mlm":
        reference = AutoModelForMaskedLM.from_config(config)
        own = head.lm_head
        reference.lm_head.dense, reference.lm_head.layer_norm = own.dense, own.layer_norm
        reference.lm_head.decoder.weight = model.encoder.word_embeddings()
        reference.lm_head.decoder.bias = own.bias
        labels = pad([part.tolist() for part in np.split(batch.token_gold["labels"], cuts)], -100)
    else:
        hidden = plain_encoder(base, model)(input_ids=ids, attention_mask=mask).last_hidden_state
        return other_padded_loss(model, kind, batch, hidden, mask)
    reference.roberta.load_state_dict(model.encoder.backbone.state_dict())
    for name, parameter in model.encoder.backbone.named_parameters():
        owner, _, leaf = name.rpartition(".")
        setattr(reference.roberta.get_submodule(owner), leaf, parameter)
    return reference.eval()(input_ids=ids, attention_mask=mask, labels=labels).loss


def plain_encoder(base, model):
    """The encoder in transformers' own padded form, sharing the weights."""
    from transformers import AutoModel

    plain = AutoModel.from_config(tiny_config(), add_pooling_layer=False).eval()
    for name, parameter in model.encoder.backbone.named_parameters():
        owner, _, leaf = name.rpartition(".")
        setattr(plain.get_submodule(owner), leaf, parameter)
    return plain


def other_padded_loss(model, kind, batch, hidden, mask):
    """Heads that transformers has no equal of."""
    head = model.heads["task"]
    if kind == "multiple_choice":
        scores = head(hidden[:, 0]).squeeze(-1).split(batch.per_example.tolist())
        gold = batch.example_gold["label"].tolist()
        losses = [
            functional.cross_entropy(row[None], torch.tensor([label])) for row, label in zip(scores, gold, strict=True)
        ]
        return torch.stack(losses).mean()
    if kind == "span":
        scores = head(hidden).masked_fill(mask[..., None] == 0, float("-inf"))
        start, end = (torch.from_numpy(batch.sequence_gold[name]).long() for name in ("start", "end"))
        return (functional.cross_entropy(scores[..., 0], start) + functional.cross_entropy(scores[..., 1], end)) / 2
    vectors = head(hidden[:, 0])
    scores = head.log_scale.exp() * vectors[0::2] @ vectors[1::2].T
    return functional.cross_entropy(scores, torch.arange(len(scores)))


def gradients(model):
    """Name -> gradient."""
    found = {name: value.grad.clone() for name, value in model.named_parameters() if value.grad is not None}
    model.zero_grad(set_to_none=True)
    return found


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("way", ["packed", "buckets"])
@pytest.mark.parametrize("head", HEADS)
def test_loss_and_gradients_equal_the_padded_batch(world, head, way, device):
    """Packed, and in the length buckets of encoders that cannot pack."""
    base, pools = world
    pool, model = pools[head], model_for(world[0], pools[head])
    if way == "buckets":
        model.encoder.packs = False
        model.encoder.backbone.set_attn_implementation("sdpa")
    batch = batch_of(pool, np.array([3, 17, 8, 25, 11, 30, 2]))
    assert len(set(batch.lengths.tolist())) > 1, "the batch should be ragged"
    wanted = padded_loss(model, base, pool, batch)
    wanted.backward()
    reference = gradients(model)
    model.to(device)
    sent = on_device("task", head, batch, torch.device(device))
    loss = LossModule(model)(sent) / training_of(head).units(batch)
    loss.backward()
    torch.testing.assert_close(loss.cpu(), wanted, atol=1e-6, rtol=1e-5)
    packed = gradients(model)
    assert set(packed) == set(reference)
    for name, gradient in packed.items():
        size = max(1.0, float(reference[name].abs().max()))
        torch.testing.assert_close(
            gradient.cpu(), reference[name], atol=1e-5 * size, rtol=1e-4, msg=lambda text, name=name: f"{name}: {text}"
        )


@settings(max_examples=12, deadline=None)
@given(rows=st.lists(st.integers(0, 39), min_size=1, max_size=12, unique=True), head=st.sampled_from(HEADS[:1] + HEADS[2:]),
       tokens=st.integers(20, 200))  # fmt: skip
def test_cutting_a_batch_changes_nothing(world, rows, head, tokens):
    """Micro-batches, weighted by their true counts, give the loss of the whole batch."""
    pool = world[1][head]
    module = LossModule(model_for(world[0], pool))
    batch = batch_of(pool, np.array(rows))
    total = max(1, training_of(head).units(batch))
    with torch.no_grad():
        whole = module(on_device("task", head, batch, torch.device("cpu"))) / total
        parts = list(parts_by_tokens(batch, tokens))
        cut = sum(module(on_device("task", head, part, torch.device("cpu"))) for part in parts) / total
    assert sum(len(part) for part in parts) == len(rows)
    assert all(part.lengths.sum() <= tokens or len(part) == 1 for part in parts)
    torch.testing.assert_close(torch.as_tensor(cut), whole, atol=1e-5, rtol=1e-5)


def test_masked_positions_alone_reach_the_decoder(world):
    _, pools = world
    pool, model = pools["mlm"], model_for(world[0], pools["mlm"])
    batch = batch_of(pool, np.arange(10))
    sent = on_device("task", "mlm", batch, torch.device("cpu"))
    hidden = model.encoder(sent.tokens)
    scores = model.scores("task", sent.tokens, sent.gold["at"])
    assert scores.shape == (training_of("mlm").units(batch), len(model.encoder.word_embeddings()))
    assert 0 < len(scores) < len(hidden) / 2
