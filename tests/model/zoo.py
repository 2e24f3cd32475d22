"""Tiny models of many architectures, randomly initialised, as they are published: for tests and `bench/zoo.py`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from tests.training.worlds import SPECIALS, WORDS, make_tokenizer

_SIZES = {
    "vocab_size": len(SPECIALS) + WORDS, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
    "intermediate_size": 64, "max_position_embeddings": 130, "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0, "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2,
}  # fmt: skip
_T5 = {"d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4, "dropout_rate": 0.0}
_XLM = {"emb_dim": 32, "n_layers": 2, "n_heads": 4, "dropout": 0.0, "attention_dropout": 0.0, "pad_index": 1}
_RELATIVE = {"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_biased_input": False}
# Architecture -> what its configuration has beside the usual sizes.
ENCODERS: dict[str, dict[str, Any]] = {
    "albert": {"embedding_size": 16},
    "bert": {"type_vocab_size": 2},
    "camembert": {},
    "convbert": {"embedding_size": 16},
    "data2vec-text": {},
    "deberta": _RELATIVE,
    "deberta-v2": {**_RELATIVE, "position_buckets": 16, "norm_rel_ebd": "layer_norm", "share_att_key": True,
                   "type_vocab_size": 0},
    "distilbert": {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64, "dropout": 0.0, "attention_dropout": 0.0},
    "electra": {"embedding_size": 16, "hidden_act": "relu"},
    "ernie": {"type_vocab_size": 2, "hidden_act": "relu"},
    "eurobert": {"num_key_value_heads": 4},
    "fnet": {},
    "gte": {},
    "jina_embeddings_v3": {},
    "modernbert": {"num_hidden_layers": 3, "global_attn_every_n_layers": 3, "local_attention": 8, "cls_token_id": 0,
                   "sep_token_id": 2, "attention_dropout": 0.0, "embedding_dropout": 0.0, "mlp_dropout": 0.0},
    "mpnet": {},
    "mt5": _T5,
    "nomic_bert": {},
    "rembert": {"input_embedding_size": 16, "output_embedding_size": 48},
    "roberta": {},
    "roberta-prelayernorm": {},
    "roformer": {"embedding_size": 32},
    "t5": _T5,
    "umt5": _T5,
    "xlm": _XLM,
    "xlm-roberta": {},
    "xlm-roberta-xl": {},
    "xmod": {"languages": ["en_XX"], "default_language": "en_XX"},
}  # fmt: skip
REFUSED: dict[str, dict[str, Any]] = {
    "canine": {"num_hash_buckets": 64},
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 4},
    "mbart": {"d_model": 32, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 4,
              "decoder_attention_heads": 4, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64},
}  # fmt: skip


def config_of(name: str, **settings: Any) -> Any:
    """The configuration of an architecture of the zoo."""
    from transformers import AutoConfig

    return AutoConfig.for_model(name, **{**_SIZES, **{**ENCODERS, **REFUSED}[name], **settings})


def reference_of(config: Any, *, seed: int = 4, std: float = 0.1) -> Any:
    """Transformers' own model: with its masked language modelling head where it has one, every weight random."""
    from transformers import AutoModel, AutoModelForMaskedLM
    from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING

    masked = type(config) in MODEL_FOR_MASKED_LM_MAPPING and not getattr(config, "is_encoder_decoder", False)
    torch.manual_seed(seed)
    model = (AutoModelForMaskedLM if masked else AutoModel).from_config(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * std)
    return model


def make(folder: Path, name: str, **settings: Any) -> Any:
    """Writes a model of the zoo with its tokenizer; returns transformers' own."""
    model = reference_of(config_of(name, **settings))
    model.save_pretrained(str(folder))
    make_tokenizer(folder)
    return model
