"""The numbers of parameters of a study's encoder, without loading it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xtreme_dag.engine.graph import Graph, Output, Source
from xtreme_dag.study.file import Study
from xtreme_dag.study.train_recipe import Lora
from xtreme_dag.wiring.fit import shape_of
from xtreme_dag.wiring.model_files import shapes_of, weights_of

# Layers, hidden size, feed-forward size and words of models whose folder may not be there when a study is planned.
KNOWN = {
    "FacebookAI/xlm-roberta-base": (12, 768, 3072, 250_002),
    "FacebookAI/xlm-roberta-large": (24, 1024, 4096, 250_002),
    "google-bert/bert-base-multilingual-cased": (12, 768, 3072, 119_547),
    "google-bert/bert-base-multilingual-uncased": (12, 768, 3072, 105_879),
}
_POSITIONS = 514
# Layers of published checkpoints that are not stored with a trained encoder.
_HEADS = ("lm_head.", "cls.", "pooler.", "lm_predictions.", "mask_predictions.", "discriminator_predictions.")


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """How many parameters an encoder has; None where that is not known.

    Attributes:
        layer_parameters: of its layers: attention 4 h^2 and the feed-forward layer 2 h f in each.
        stored: of all of it, embeddings included.
        sizes: number of layers, width of a hidden state and of the feed-forward layers.
    """

    layer_parameters: int | None
    stored: int | None
    sizes: tuple[int, int, int] = (0, 0, 0)

    def of_adapter(self, lora: Mapping[str, Any]) -> int | None:
        """Parameters of an adapter: rank x (inputs + outputs) for each linear layer beside which it is.

        Names are those of BERT's kin; another name counts as a layer of hidden x hidden in each of the encoder's.
        """
        layers, hidden, inner = self.sizes
        if not self.layer_parameters:
            return None
        square, outward = 2 * hidden, hidden + inner
        known = {"query": square, "key": square, "value": square, "dense": square + 2 * outward}
        targets = lora.get("targets") or ("query", "value")
        targets = tuple(known) if targets == "all-linear" else targets
        rank = int(lora.get("rank", Lora().rank))
        return layers * rank * sum(known.get(str(name).rpartition(".")[2], square) for name in targets)


def shape_of_model(study: Study, graph: Graph, made: Path | None = None) -> Parameters:
    """The parameters of a study's encoder: from the header of its weights, its configuration, or its name.

    Args:
        study: the study.
        graph: its stages.
        made: the folder of the encoder that the study has made, if it has.
    """
    models = (stage.inputs.get("model") for stage in graph if stage.of.device)
    folder = next((model for model in models if isinstance(model, Source)), None)
    shape = shape_of(study, folder or Output(stage=""))
    known = (shape.layers, shape.hidden, shape.inner)
    words: object = None
    if folder is None and study.model.hub in KNOWN:
        *known, words = KNOWN[study.model.hub]  # type: ignore[assignment]
    elif study.model.pretrain is not None:
        words = study.model.pretrain.get("vocabulary_size")
    layers, hidden, inner = (value if isinstance(value, int) else 0 for value in known)
    in_layers = layers * (4 * hidden * hidden + 2 * hidden * inner) or None
    weights = made if folder is None else Path(folder.path)
    stored = None if weights is None else _stored(weights)
    if stored is None and in_layers is not None and isinstance(words, int):
        stored = in_layers + (words + _POSITIONS) * hidden
    return Parameters(layer_parameters=in_layers, stored=stored, sizes=(layers, hidden, inner))


def _stored(folder: Path) -> int | None:
    """Numbers in the safetensors files of a model folder, those of its own output layers left out."""
    place = folder / "encoder" if (folder / "encoder").is_dir() else folder
    total = 0
    try:
        for path in weights_of(place):
            shapes = shapes_of(path)
            total += sum(math.prod(shape) for name, shape in shapes.items() if not name.startswith(_HEADS))
        if not total:  # pickled weights, in float32 as a rule
            total = sum(path.stat().st_size for path in place.glob("pytorch_model*.bin")) // 4
    except (OSError, ValueError):
        return None
    return total or None
