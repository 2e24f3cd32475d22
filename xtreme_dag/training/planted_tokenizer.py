"""The tokenizer of the planted model: a fixed Unigram vocabulary made from the lexicons, XLM-R's layout.

Every stem is one piece (`▁` in front marks the start of a word), every suffix and mark another; letters remain for
words that no lexicon has. All whole pieces score alike, so a word is cut into as few as can be: its stem and its
suffixes. Nothing is trained, so the bytes are the same everywhere.
"""

from __future__ import annotations

import json
import string
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from xtreme_dag.catalogue.miniworld_languages import CODES, language_of
from xtreme_dag.core.english import ENGLISH
from xtreme_dag.miniworld.lexicon import lexicon

SPECIALS = ("<s>", "<pad>", "</s>", "<unk>")  # XLM-R's first ids; <mask> is its last
MASK = "<mask>"
START = "▁"  # U+2581, the start of a word
MAX_LENGTH = 512
_PIECE, _LETTER = -1.0, -10.0


@lru_cache(maxsize=1)
def pieces() -> Mapping[str, tuple[str, str]]:
    """Piece -> (concept, code of the first language that has it), in the order of their ids after `SPECIALS`.

    Marks, and all words of an unspaced language, are there twice: at the start of a word and inside running text.
    """
    found: dict[str, tuple[str, str]] = {}
    for code in CODES:
        forms, spaced = lexicon(code), language_of(code).spaced
        for concept, stem in forms.stems.items():
            found.setdefault(START + stem, (concept, code))
            if not spaced:
                found.setdefault(stem, (concept, code))
        for feature, suffix in forms.suffixes.items():
            found.setdefault(suffix, (feature, code))
        for concept, form in forms.marks.items():
            found.setdefault(form, (concept, code))
            found.setdefault(START + form, (concept, code))
    found[START + "What"] = ("what", ENGLISH)  # of the fixed English questions of the multiple choice format
    return MappingProxyType(found)


def letters() -> list[str]:
    """The single characters that are pieces of last resort."""
    used = {letter for piece in pieces() for letter in piece} | set(
        string.ascii_letters + string.digits + string.punctuation
    )
    return sorted(used - set(pieces()))


def vocabulary() -> list[tuple[str, float]]:
    """Pieces with their scores, by id, without <mask>."""
    whole = [(piece, 0.0) for piece in SPECIALS] + [(piece, _PIECE) for piece in pieces()]
    return whole + [(letter, _LETTER) for letter in letters()]


def build() -> Any:
    """The `tokenizers.Tokenizer`."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors

    words = vocabulary()
    tokenizer = Tokenizer(models.Unigram(words, unk_id=SPECIALS.index("<unk>"), byte_fallback=False))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement=START, prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace(replacement=START, prepend_scheme="always")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    tokenizer.add_special_tokens([AddedToken(one, special=True, normalized=False) for one in SPECIALS])
    tokenizer.add_special_tokens([AddedToken(MASK, special=True, normalized=False, lstrip=True)])
    return tokenizer


def write(folder: Path) -> None:
    """Writes `tokenizer.json` and `tokenizer_config.json`, which `AutoTokenizer` loads."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.json").write_text(build().to_str(pretty=False) + "\n", encoding="utf-8")
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": MAX_LENGTH, "bos_token": "<s>",
        "cls_token": "<s>", "eos_token": "</s>", "sep_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>",
        "mask_token": MASK, "model_input_names": ["input_ids", "attention_mask"], "clean_up_tokenization_spaces": False,
    }  # fmt: skip
    (folder / "tokenizer_config.json").write_text(
        json.dumps(settings, indent=2, sort_keys=True) + "\n", encoding="utf-8"
    )
