"""Pretrained models of the Hugging Face hub: the snapshot of a pinned commit, with weights that can be loaded safely."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from xtreme_dag.core.errors import UserError
from xtreme_dag.core.hub_client import limit_waiting
from xtreme_dag.core.locks import locked
from xtreme_dag.wiring.convert import convert

_FILES = ("*.json", "*.safetensors", "*.model", "*.spm", "*.txt")
_PICKLED = ("pytorch_model*.bin",)
_CONVERTED = "xtreme-dag-converted"  # beside the client's snapshots
_ASK_SECONDS = 10.0
_PULLS = 20  # pull requests that are looked at for safetensors


def snapshot(name: str, revision: str, where: str, *, fetch: bool) -> Path:
    """A folder with a model at a commit: the client's snapshot, from its cache, else fetched.

    A commit with pickled weights alone is converted once, as `xtreme-dag model convert` does; the result is kept beside
    the client's snapshots.

    Args:
        name: `owner/name`.
        revision: the commit (40 hexadecimal digits), also one of a pull request.
        where: the key of the study, for messages.
        fetch: fetch and convert what is not there; without, nobody is asked and nothing is written.

    Raises:
        UserError: it cannot be had, or has no weights.
    """
    folder = _fetched(name, revision, where, _FILES, fetch=fetch)
    if any(folder.glob("*.safetensors")):
        return folder
    from huggingface_hub import constants

    converted = Path(constants.HF_HUB_CACHE) / _CONVERTED / f"{name.replace('/', '--')}-{revision}"
    if converted.is_dir():
        return converted
    if not fetch:
        raise UserError(
            f"{name} at {revision[:12]} has no safetensors in the local cache",
            where=f"{where}.hub",
            fix="a run fetches its pickled weights and converts them",
        )
    folder = _fetched(name, revision, where, (*_FILES, *_PICKLED), fetch=True)
    if not any(folder.glob(_PICKLED[0])):
        raise UserError(
            f"{name} at {revision[:12]} has no weights for torch (no safetensors, no pytorch_model.bin)",
            where=f"{where}.hub",
            fix="name another model, or a commit that has them",
        )
    converted.parent.mkdir(parents=True, exist_ok=True)
    with locked(converted.with_name(f"{converted.name}.lock"), name):
        if not converted.is_dir():  # nobody else has done it meanwhile
            convert(folder, converted)
    return converted


def _fetched(name: str, revision: str, where: str, wanted: Sequence[str], *, fetch: bool) -> Path:
    """The client's snapshot with the files that match."""
    from huggingface_hub import snapshot_download

    limit_waiting()
    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=list(wanted), local_files_only=not fetch))
    except Exception as error:  # The client raises many kinds; all mean that there is no snapshot.
        reason = " ".join(str(error).split())[:200] if fetch else "not in the local cache; a run fetches it"
        raise UserError(
            f"{name} at {revision[:12]} cannot be had ({reason})",
            where=f"{where}.hub",
            fix=f"or name a local folder: {where}.folder",
        ) from None


def unpinned(name: str, where: str) -> UserError:
    """The error of a model without a commit, which offers the newest one if the hub tells it."""
    what, plain = (
        "a hub model needs `revision`: the full commit id (40 hexadecimal digits), not a branch",
        "its page shows it",
    )
    try:
        fix = _offer(name) or plain
    except Exception:  # offline, no such model, or what else the client and its transport raise
        fix = plain
    return UserError(what, where=f"{where}.hub: {name}", fix=fix)


def _offer(name: str) -> str:
    """The newest commit of a model and what its weights are; where they are pickled, also a commit with safetensors."""
    from huggingface_hub import HfApi

    limit_waiting()
    api: Any = HfApi(endpoint=os.environ.get("HF_ENDPOINT"), token=os.environ.get("HF_TOKEN") or False)
    info = api.model_info(name, timeout=_ASK_SECONDS)
    newest = f"the newest is revision: {info.sha}"
    if _has_safetensors(info):
        return newest
    pulls = api.list_repo_refs(name, include_pull_requests=True).pull_requests or []
    for ref in pulls[:_PULLS]:
        pull = api.model_info(name, revision=ref.ref, timeout=_ASK_SECONDS)
        if _has_safetensors(pull):
            return f"{newest} (pickled weights, which a run converts); {ref.ref}, whose author is anybody, has safetensors: {pull.sha}"
    return f"{newest} (pickled weights, which a run converts)"


def _has_safetensors(info: Any) -> bool:
    return any(entry.rfilename.endswith(".safetensors") and "/" not in entry.rfilename for entry in info.siblings or ())
