"""A sequence-to-sequence model as a translator, through transformers; greedy or beam search, so the same every time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from xtreme_dag.core.errors import UserError
from xtreme_dag.data.derive.losses import Translate
from xtreme_dag.model.weights import load_complete, load_config
from xtreme_dag.tables.tokenizer_files import require_tokenizer

# Texts of a batch are of like length, so that little is padded; what comes out does not depend on it.
_BATCH_TOKENS = 4_096


def open_translator(
    folder: Path,
    *,
    beams: int,
    max_length: int,
    code: str | None,
    device: str,
    log: Callable[[str], None],
    reads: str | None = None,
    odd: Counter[str] | None = None,
) -> Translate:
    """A function that translates texts.

    Args:
        folder: with `config.json`, `model.safetensors` and a tokenizer.
        beams: beams of the search, 1 for greedy.
        max_length: tokens of a text and of its translation at most.
        code: the token with which a translation begins, for multilingual models (NLLB: `deu_Latn`).
        device: `cpu`, `cuda` or `cuda:N`.
        log: told what is odd about the weights.
        reads: what a multilingual tokenizer calls the language of the texts (NLLB: `deu_Latn`); None for its default,
            and for a tokenizer of one language.
        odd: counts `texts_cut` and `translations_cut` at `max_length`, and `translations_empty` of texts that are not.

    Raises:
        UserError: the folder holds no such model, or its tokenizer has no such token.
    """
    import torch
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    advice = "a folder with config.json, model.safetensors and the tokenizer's files"
    if not (folder / "config.json").is_file():
        raise UserError("no sequence-to-sequence model can be loaded (no config.json)", where=str(folder), fix=advice)
    loaded, _ = load_complete(AutoModelForSeq2SeqLM, folder, load_config(folder), log=log)
    require_tokenizer(folder)
    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
    except ImportError as error:  # Marian's is a slow one
        fix = "pip install 'xtreme-dag[sentencepiece]'"
        raise UserError(
            f"its tokenizer needs a package ({' '.join(str(error).split())[:120]})", where=str(folder), fix=fix
        ) from None
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"its tokenizer cannot be loaded ({reason})", where=str(folder), fix=advice) from None
    if reads is not None:
        set_language(tokenizer, reads, folder)
    model: Any = loaded
    forced = {"forced_bos_token_id": _token(tokenizer, code, folder)} if code else {}
    model = model.to(device).eval()
    seen: Counter[str] = Counter() if odd is None else odd

    def translate(texts: Sequence[str]) -> list[str]:
        encoded = [tokenizer(text, truncation=True, max_length=max_length)["input_ids"] for text in texts]
        at_the_limit = [text for text, ids in zip(texts, encoded, strict=True) if len(ids) >= max_length]
        seen["texts_cut"] += sum(len(tokenizer(text)["input_ids"]) > max_length for text in at_the_limit)
        made = [""] * len(texts)
        for rows in _batches([len(ids) for ids in encoded]):
            batch = tokenizer.pad({"input_ids": [encoded[row] for row in rows]}, return_tensors="pt").to(device)
            with torch.inference_mode():
                out = model.generate(**batch, num_beams=beams, do_sample=False, max_new_tokens=max_length, **forced)
            if out.shape[1] > max_length:
                # Some models (Marian's) end every translation at the limit: then the last token says nothing.
                last = -1 if model.generation_config.forced_eos_token_id is not None else None
                seen["translations_cut"] += int((out[:, 1:last] != tokenizer.eos_token_id).all(dim=1).sum())
            for row, text in zip(rows, tokenizer.batch_decode(out, skip_special_tokens=True), strict=True):
                made[row] = text.strip()
        seen["translations_empty"] += sum(not new and bool(old.strip()) for old, new in zip(texts, made, strict=True))
        return made

    return translate


def set_language(tokenizer: Any, code: str, folder: Path) -> None:
    """Tells a multilingual tokenizer in which language the texts are; one of a single language is left alone.

    Raises:
        UserError: it has no such language.
    """
    if hasattr(tokenizer, "src_lang"):
        _token(tokenizer, code, folder)
        tokenizer.src_lang = code.strip("_")  # M2M100's token is `__de__`, its language `de`


def _token(tokenizer: Any, code: str, folder: Path) -> int:
    number: int | None = tokenizer.convert_tokens_to_ids(code)
    if number is None or number == tokenizer.unk_token_id:
        raise UserError(
            f"the tokenizer has no token {code!r}",
            where=str(folder),
            fix="translated.codes names one for each language",
        )
    return number


def _batches(lengths: list[int]) -> list[list[int]]:
    """Rows in batches of at most `_BATCH_TOKENS` padded tokens (at least one row), shortest first."""
    batches: list[list[int]] = []
    for row in sorted(range(len(lengths)), key=lambda row: (lengths[row], row)):
        if not batches or (len(batches[-1]) + 1) * lengths[row] > _BATCH_TOKENS:
            batches.append([])
        batches[-1].append(row)
    return batches
