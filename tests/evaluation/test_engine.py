"""The stream of batches, the model cache and the settings."""

import gc
import shutil
import weakref

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from xtreme_dag.core.errors import UserError
from xtreme_dag.evaluation import engine
from xtreme_dag.evaluation.engine import (
    Sequences,
    Settings,
    cached_model,
    infer,
    sequences_of,
    settings_of,
    states_of_layer,
)
from xtreme_dag.tables.encoded import open_encoded

CPU = torch.device("cpu")


def flat(lengths):
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return Sequences(ids=np.arange(offsets[-1], dtype=np.int32), offsets=offsets, type_ids=None)


@given(lengths=st.lists(st.integers(1, 30), min_size=1, max_size=60), limit=st.integers(1, 80))
@settings(max_examples=60, deadline=None)
def test_every_sequence_comes_once_in_batches_within_the_limit(lengths, limit):
    sequences = flat(lengths)
    seen = []
    for rows, (count, ids) in infer(
        sequences,
        lambda tokens, rows: (len(tokens.input_ids), tokens.input_ids.tolist()),
        Settings(device=CPU, batch_tokens=limit),
    ):
        assert count <= limit or len(rows) == 1
        assert ids == [i for row in rows for i in range(sequences.offsets[row], sequences.offsets[row + 1])]
        seen += rows.tolist()
    assert sorted(seen) == list(range(len(lengths)))
    in_order = [lengths[row] for row in seen]
    assert in_order == sorted(lengths, reverse=True)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("full"),
        MemoryError(),
        RuntimeError("can't allocate memory"),
        RuntimeError("std::bad_alloc"),
    ],
)
def test_a_batch_that_does_not_fit_is_halved_and_nothing_is_lost(error):
    tried = []

    def compute(tokens, rows):
        tried.append(len(tokens.input_ids))
        if len(tokens.input_ids) > 30:
            raise error
        return len(rows)

    found = list(infer(flat([10] * 40), compute, Settings(device=CPU, batch_tokens=200)))
    assert sorted(row for rows, _ in found for row in rows.tolist()) == list(range(40))
    # 200 and 100 do not fit, 50 neither; from then on nothing larger than 25 is tried.
    assert tried[:3] == [200, 100, 50] and set(tried[3:]) == {20}


def test_a_sequence_that_does_not_fit_alone_is_an_error_that_names_its_length():
    def compute(tokens, rows):
        raise torch.OutOfMemoryError("full")

    with pytest.raises(UserError, match="a sequence of 12 tokens does not fit in the memory of cpu"):
        list(infer(flat([3, 12]), compute, Settings(device=CPU, batch_tokens=64)))


def test_other_errors_are_not_taken_for_a_lack_of_memory():
    def compute(tokens, rows):
        raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes"):
        list(infer(flat([3]), compute, Settings(device=CPU, batch_tokens=64)))


def test_company_order_and_batch_do_not_change_hidden_states(base, miniworld, make_inputs):
    model = cached_model(base, CPU)
    tables = [
        open_encoded(
            make_inputs(miniworld("parallel", language, 40), format="parallel", head="embedding", max_length=64)[
                "encoded"
            ]
        )
        for language in ("en", "qaa", "qab")
    ]

    def states(sequences, limit):
        found = {}
        run = infer(
            sequences,
            lambda tokens, _: (model.encoder(tokens), tokens.lengths),
            Settings(device=CPU, batch_tokens=limit),
        )
        for rows, (hidden, lengths) in run:
            found.update(zip(rows.tolist(), torch.split(hidden, list(lengths)), strict=True))
        return [found[row] for row in range(len(found))]

    alone = states(sequences_of(tables[:1]), 1)
    for tokens in (100, 5000):
        together = states(sequences_of(tables), tokens)
        assert len(together) == 3 * len(alone)
        for one, other in zip(alone, together, strict=False):
            torch.testing.assert_close(one, other, rtol=0, atol=1e-5)


def test_the_states_of_a_layer_are_those_of_the_whole_forward(base, miniworld, make_inputs):
    model = cached_model(base, CPU)
    table = open_encoded(make_inputs(miniworld("parallel", rows=20), format="parallel", head="embedding")["encoded"])
    tokens = sequences_of([table]).packed(np.arange(40), CPU)
    ran = []
    hooks = [
        layer.register_forward_hook(lambda *_, number=number: ran.append(number))
        for number, layer in enumerate(model.encoder.backbone.encoder.layer, start=1)
    ]
    with torch.inference_mode():
        every = model.encoder.every_layer(tokens)
        for layer in (0, 2, 4):
            ran.clear()
            states = states_of_layer(model.encoder, tokens, layer)
            torch.testing.assert_close(states, every[layer], rtol=0, atol=1e-6)
            assert ran == list(range(1, layer + 1))
        # The encoder is as before.
        torch.testing.assert_close(model.encoder(tokens), every[4], rtol=0, atol=0)
    for hook in hooks:
        hook.remove()


def test_a_model_is_loaded_once_until_its_files_change(base, tmp_path):
    first = cached_model(base, CPU)
    assert cached_model(base, CPU) is first
    copy = tmp_path / "copy"
    shutil.copytree(base, copy)
    second = cached_model(copy, CPU)
    assert second is not first and cached_model(copy, CPU) is second
    (copy / "heads.json").write_text("{}\n")
    (copy / "heads.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")
    assert cached_model(copy, CPU) is not second


def test_the_cache_is_bounded_and_keeps_the_model_in_use(base, tmp_path, monkeypatch):
    engine._loaded.clear()
    folders = [tmp_path / str(number) for number in range(3)]
    for folder in folders:
        shutil.copytree(base, folder)
    size = engine._bytes(cached_model(folders[0], CPU))
    two = int(2.5 * size)
    kept = [cached_model(folder, CPU, budget=two) for folder in folders]
    assert len(engine._loaded) == 2
    assert cached_model(folders[2], CPU, budget=two) is kept[2]
    assert cached_model(folders[1], CPU, budget=two) is kept[1]
    # What is to be forgotten goes before the next one is loaded, so that both are never there together.
    there = []
    monkeypatch.setattr(engine, "load_model", lambda *_, **__: there.append(len(engine._loaded)) or kept[0])
    cached_model(folders[0], CPU, budget=two)
    assert there == [1]
    cached_model(base, CPU, budget=1)
    assert there == [1, 0] and len(engine._loaded) == 1
    engine._loaded.clear()


def test_a_forgotten_model_leaves_memory_at_once(base, tmp_path):
    engine._loaded.clear()
    folders = [tmp_path / str(number) for number in range(2)]
    for folder in folders:
        shutil.copytree(base, folder)
    gc.disable()
    try:
        alive = weakref.ref(cached_model(folders[0], CPU, budget=1))
        cached_model(folders[1], CPU, budget=1)
        assert alive() is None
    finally:
        gc.enable()
        engine._loaded.clear()


def test_settings_that_cannot_be_are_refused(make_context, tmp_path):
    context = make_context(tmp_path / "a", device="abacus")
    with pytest.raises(UserError, match="no device 'abacus'"):
        settings_of({}, context)
    with pytest.raises(UserError, match="unknown precision 'float16'"):
        settings_of({"precision": "float16"}, make_context(tmp_path / "b"))
    if not torch.cuda.is_available():
        with pytest.raises(UserError, match="no CUDA device"):
            settings_of({}, make_context(tmp_path / "c", device="cuda"))
    given = settings_of({"precision": "bfloat16"}, make_context(tmp_path / "d", batch_tokens=77, threads=1))
    assert given == Settings(device=CPU, batch_tokens=77, precision="bfloat16")
