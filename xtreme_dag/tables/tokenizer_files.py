"""The tokenizer's files: a folder with them is loaded, converted where it has no fast form, copied or refused.

The published `tokenizer.json` is used as it stands, so that the pipeline is the one that the model was trained with.
Only a folder without it (slow tokenizers) goes through a conversion by transformers.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from xtreme_dag.core.errors import UserError
from xtreme_dag.core.files import read_json
from xtreme_dag.tables.tokenizer import TextTokenizer

_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")
# In what files a slow tokenizer keeps its vocabulary: SentencePiece models, word lists, merges of byte pairs.
_VOCABULARIES = ("*.model", "*.spm", "vocab.txt", "merges.txt", "bpe.codes")
_SPELLINGS = {
    "pad": ("<pad>", "[PAD]"),
    "unk": ("<unk>", "[UNK]"),
    "mask": ("<mask>", "[MASK]"),
    "cls": ("<s>", "[CLS]"),
    "sep": ("</s>", "[SEP]"),
}


def load_tokenizer(folder: Path) -> TextTokenizer:
    """The tokenizer of a model folder (`tokenizer/` inside it), a base model or a tokenizer folder.

    The last one is kept: reading XLM-R's takes a second, and the tables of a study are encoded one after the other.

    Args:
        folder: a folder with `tokenizer.json`, directly or in `tokenizer/`; other fast-convertible tokenizers are
            converted by transformers.

    Raises:
        UserError: there is no tokenizer in the folder, or one without a vocabulary.
    """
    states = {path.name: path.stat() for where in {folder, tokenizer_folder(folder)} for path in where.glob("*.*")}
    marks = tuple(sorted((name, state.st_size, state.st_mtime_ns, state.st_ino) for name, state in states.items()))
    return _loaded(folder.resolve(), marks)


@lru_cache(maxsize=1)
def _loaded(folder: Path, marks: tuple[tuple[str, int, int, int], ...]) -> TextTokenizer:
    """The tokenizer of a folder whose files are in the state that `marks` says: name, bytes, time, inode."""
    from tokenizers import Tokenizer

    files = tokenizer_folder(folder)
    settings = _settings(files)
    if (files / "tokenizer.json").is_file():
        try:
            backend = Tokenizer.from_file(str(files / "tokenizer.json"))
        except Exception as error:  # the library raises this class itself
            raise UserError(f"is no tokenizer ({error})", where=str(files / "tokenizer.json")) from None
    else:
        converted = getattr(_converted(files), "backend_tokenizer", None)
        if converted is None:
            raise UserError(
                "the tokenizer has no fast form, and every text goes through one here",
                where=str(files),
                fix="take a model with tokenizer.json",
            )
        backend = converted
    _refuse_without_words(backend, files)
    specials = {role: _special(role, settings, backend) for role in _SPELLINGS}
    names = settings.get("model_input_names")
    wants_types = "token_type_ids" in names if isinstance(names, list) and names else _has_token_types(folder)
    return TextTokenizer(
        backend, specials={role: token for role, token in specials.items() if token}, type_ids=wants_types
    )


def tokenizer_folder(folder: Path) -> Path:
    """Where the tokenizer of a model folder lies."""
    return folder / "tokenizer" if (folder / "tokenizer").is_dir() else folder


def copy_tokenizer(source: Path, target: Path) -> None:
    """Copies the tokenizer of one model folder into `target` (created), byte for byte where it is a fast one."""
    files = tokenizer_folder(source)
    target.mkdir(parents=True, exist_ok=True)
    if not (files / "tokenizer.json").is_file():
        _converted(files).save_pretrained(str(target))
        return
    for name in _FILES:
        if (files / name).is_file():
            (target / name).write_bytes((files / name).read_bytes())


def require_tokenizer(folder: Path) -> None:
    """Makes sure that a folder has tokenizer files: transformers makes up a vocabulary where there is none.

    Raises:
        UserError: there is neither `tokenizer.json` nor the vocabulary of a slow tokenizer.
    """
    if not any(path for pattern in ("tokenizer.json", *_VOCABULARIES) for path in folder.glob(pattern)):
        raise UserError(
            "there is no tokenizer in this folder (no tokenizer.json, no vocabulary)",
            where=str(folder),
            fix="add the tokenizer's files that were published with the model",
        )


def _converted(folder: Path) -> Any:
    """A slow tokenizer's fast form, made by transformers."""
    from transformers import AutoTokenizer

    require_tokenizer(folder)
    try:
        return AutoTokenizer.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, ImportError) as error:
        if "auto_map" in _settings(folder):
            raise UserError(
                "the tokenizer needs code that its folder brings with it (auto_map), and such code is never run",
                where=str(folder / "tokenizer_config.json"),
                fix="give a folder with tokenizer.json",
            ) from None
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"there is no tokenizer that can be loaded in this folder ({reason})",
            where=str(folder),
            fix="give a folder with tokenizer.json (AutoTokenizer(...).save_pretrained writes it)",
        ) from error


def _refuse_without_words(backend: Any, folder: Path) -> None:
    """Raises if a vocabulary has special tokens only: with such a one, made up, every word is unknown."""
    special = {token.content for token in backend.get_added_tokens_decoder().values()}
    special.update("▁", *_SPELLINGS.values())
    few = backend.get_vocab_size(with_added_tokens=False) <= len(special)  # a look at all words takes a while
    if few and special.issuperset(backend.get_vocab(with_added_tokens=False)):
        raise UserError(
            "the tokenizer's vocabulary has special tokens only, so every word would be unknown",
            where=str(folder),
            fix="take the tokenizer's files that were published with the model",
        )


def _settings(folder: Path) -> dict[str, Any]:
    """What `special_tokens_map.json` and `tokenizer_config.json` say, the latter winning."""
    settings: dict[str, Any] = {}
    for name in ("special_tokens_map.json", "tokenizer_config.json"):
        if (folder / name).is_file():
            settings |= read_json(folder / name, what="a mapping of settings")
    return settings


def _special(role: str, settings: dict[str, Any], backend: Any) -> str | None:
    """The token that plays a role: as configured, else the customary spelling that the vocabulary holds."""
    named = settings.get(f"{role}_token")
    if isinstance(named, dict):
        named = named.get("content")
    if isinstance(named, str):
        return named
    return next((token for token in _SPELLINGS[role] if backend.token_to_id(token) is not None), None)


def _has_token_types(folder: Path) -> bool:
    """Whether the model beside the tokenizer distinguishes token types (BERT does, XLM-R does not)."""
    for name in ("encoder/config.json", "config.json", "../encoder/config.json"):
        if (folder / name).is_file():
            size = read_json(folder / name, what="a configuration").get("type_vocab_size", 0)
            return isinstance(size, int) and size > 1
    return False
