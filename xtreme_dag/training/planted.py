"""The planted model: XLM-R's shape in two layers of 128, aligned words, a short run of masked language modelling."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from xtreme_dag.catalogue.miniworld_languages import CODES
from xtreme_dag.core.context import StageContext
from xtreme_dag.heads import TEXT_HEAD, HeadSpec
from xtreme_dag.heads.trained import TrainedModel
from xtreme_dag.miniworld.mixed import switched_text
from xtreme_dag.model.folder import new_encoder
from xtreme_dag.model.layers import initialise
from xtreme_dag.study.pretraining import Planting
from xtreme_dag.study.train_recipe import TrainRecipe
from xtreme_dag.training.artifact import write_artifact
from xtreme_dag.training.fresh import encoded_part, xlmr_config
from xtreme_dag.training.loop import train
from xtreme_dag.training.planted_embeddings import position_embeddings, word_embeddings
from xtreme_dag.training.planted_tokenizer import MAX_LENGTH, write
from xtreme_dag.training.pools import Pool
from xtreme_dag.training.run import Run

HEAD_STD = 0.02
# Standard deviation of the encoder's weights before training. BERT's 0.02 would leave two layers of 128 almost linear
# for hundreds of steps; with this one they learn a task in the seconds that they have.
WEIGHT_STD = 0.1


def plant(params: Mapping[str, Any], inputs: Mapping[str, Path], context: StageContext) -> Mapping[str, Any]:
    """Stage `pretrain`: a planted model, trained for a few steps on text in all languages, as a model folder.

    Args:
        params: fields of `Planting`.
        inputs: none.
        context: `out` receives the model folder with its masked language modelling head, `training.json` and
            `drawn.parquet`; `scratch` holds checkpoints.

    Returns:
        Speed and memory, for the manifest.

    Raises:
        UserError: an unknown parameter.
    """
    planting = Planting.from_params(params, where="model.pretrain")
    tokenizer = context.scratch / "tokenizer"
    write(tokenizer)
    texts = [
        switched_text(code, rows=planting.sentences, share=planting.switched, seed=planting.seed) for code in CODES
    ]
    parts = tuple(encoded_part("miniworld", text, tokenizer, MAX_LENGTH) for text in texts)
    pool = Pool(name=TEXT_HEAD, spec=HeadSpec(kind=TEXT_HEAD), parts=parts)
    recipe = TrainRecipe(
        learning_rate=planting.learning_rate,
        batch_size=planting.batch_size,
        steps=planting.steps,
        mlm_probability=planting.masked,
    )
    model = planted(planting)
    outcome = train(model, Run(seed=planting.seed, recipe=recipe, pools=(pool,)), context)
    facts = {"seed": planting.seed, "planted": True}
    return write_artifact(model, outcome, (pool,), out=context.out, tokenizer_from=tokenizer, facts=facts)


def planted(planting: Planting) -> Any:
    """The model before any training, a `TrainedModel` with a masked language modelling head.

    Word embeddings are those of `planted_embeddings`, positions are faint sinusoids. The first layer's attention starts as
    comparing: queries, keys and values are the identity and the output its negative, so that a word attends to those
    that mean the same and what is left of it is how it differs from them.
    """
    size = planting.hidden_size
    words = word_embeddings(
        seed=planting.seed, size=size, marked=planting.opposites == "marked", kinship=planting.kinship
    )
    config = xlmr_config(
        positions=MAX_LENGTH,
        dropout=0.0,
        vocab_size=len(words),
        hidden_size=size,
        num_hidden_layers=planting.layers,
        num_attention_heads=planting.heads,
        intermediate_size=4 * size,
        initializer_range=WEIGHT_STD,
    )
    encoder = new_encoder(config, planting.seed)
    backbone: Any = encoder.backbone
    attention = backbone.encoder.layer[0].attention
    with torch.no_grad():
        backbone.embeddings.word_embeddings.weight.copy_(torch.from_numpy(words))
        backbone.embeddings.position_embeddings.weight.copy_(
            torch.from_numpy(position_embeddings(MAX_LENGTH + 2, size))
        )
        # The one token type is added to every word: it would only hide them.
        backbone.embeddings.token_type_embeddings.weight.zero_()
        for layer in (attention.self.query, attention.self.key, attention.self.value):
            layer.weight.copy_(torch.eye(size))
        attention.output.dense.weight.copy_(-torch.eye(size))
    model = TrainedModel(encoder, {TEXT_HEAD: HeadSpec(kind=TEXT_HEAD)})
    initialise(model.head(TEXT_HEAD), HEAD_STD, planting.seed)
    return model
