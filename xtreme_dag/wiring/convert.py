"""Converts a model folder with pickled weights to safetensors: `python -m xtreme_dag.wiring.convert FOLDER OUT`.

Reading a pickle can execute code. So torch reads it with `weights_only`, in a child process that cannot open connections
or start programs.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from xtreme_dag.core.errors import UserError
from xtreme_dag.core.files import read_json
from xtreme_dag.core.folders import new_folder
from xtreme_dag.core.processes import quick_start

_PATTERNS = ("pytorch_model*.bin", "*.bin", "*.ckpt", "*.pt", "*.pth")
_OTHER_PICKLES = frozenset({"training_args.bin", "optimizer.bin", "scheduler.bin", "random_states.bin"})
_COPIED = frozenset({".json", ".txt", ".model", ".spm", ".codes", ".jinja", ".md"})
_FORBIDDEN = ("socket.connect", "socket.bind", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto",
              "socket.sendmsg", "subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork",
              "os.forkpty", "pty.spawn")  # fmt: skip


def convert(folder: Path, out: Path) -> int:
    """Writes `out`: the configuration, the tokenizer and all weights of `folder`, the latter as safetensors.

    Args:
        folder: with `config.json`, a tokenizer, and weights in `pytorch_model.bin`, its shards or a Lightning checkpoint.
        out: a folder that does not exist yet, or is empty.

    Returns:
        How many weights there are.

    Raises:
        UserError: nothing to convert, `out` has files, the pickle holds more than tensors, or what came out cannot be
            loaded.
    """
    if not (folder / "config.json").is_file():
        raise UserError("there is no model in this folder (no config.json)", where=str(folder))
    if any(folder.glob("*.safetensors")):
        raise UserError("the weights are safetensors already: nothing to convert", where=str(folder))
    pickles(folder)
    with new_folder(out) as unfinished:
        command = [sys.executable, "-m", "xtreme_dag.wiring.convert", str(folder), str(unfinished)]
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
        last = (done.stdout.strip().splitlines() or [""])[-1]
        if done.returncode or not last.startswith("{"):
            reason = " ".join(done.stderr.strip().splitlines()[-1:])[:300]
            raise UserError(f"cannot be converted ({reason or f'the process ended with code {done.returncode}'})",
                            where=str(folder))  # fmt: skip
        answer: dict[str, Any] = json.loads(last)
        if "what" in answer:
            raise UserError(answer["what"], where=str(answer["where"]).replace(str(unfinished), str(out)),
                            fix=answer["fix"])  # fmt: skip
    return int(answer["weights"])


def pickles(folder: Path) -> list[Path]:
    """The files with pickled weights: the shards of an index, else those with customary names.

    Raises:
        UserError: there are none.
    """
    index = folder / "pytorch_model.bin.index.json"
    if index.is_file():
        named = read_json(index, what="an index of weights").get("weight_map")
        names = set(named.values()) if isinstance(named, dict) and named else {""}
        if not all(isinstance(name, str) and name and Path(name).name == name for name in names):
            raise UserError("is not an index of weights (weight_map: name -> file beside it)", where=str(index))
        found = [folder / name for name in sorted(names)]
        if missing := [path.name for path in found if not path.is_file()]:
            raise UserError(f"a part of the weights is missing: {', '.join(missing)}", where=str(index))
        return found
    for pattern in _PATTERNS:
        if found := [path for path in sorted(folder.glob(pattern)) if path.name not in _OTHER_PICKLES]:
            return found
    raise UserError("there are no pickled weights in this folder (*.bin, *.ckpt, *.pt)", where=str(folder))


def _write(folder: Path, out: Path) -> dict[str, Any]:
    """The work of `convert`, in the child process; the result is loaded once as a test."""
    from safetensors.torch import save_file

    from xtreme_dag.heads.trained import load_model
    from xtreme_dag.tables.tokenizer_files import load_tokenizer

    weights: dict[str, Any] = {}
    for path in pickles(folder):
        weights |= _read(path)
    save_file(_apart(weights), str(out / "model.safetensors"), metadata={"format": "pt"})
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.suffix in _COPIED and not path.name.endswith(".index.json"):
            shutil.copyfile(path, out / path.name)
    if (folder / "tokenizer").is_dir():
        shutil.copytree(folder / "tokenizer", out / "tokenizer")
    if not _translates(out):
        load_tokenizer(out)
        load_model(out, log=lambda _line: None)
    return {"weights": len(weights)}


def _translates(folder: Path) -> bool:
    """Whether a folder has a whole sequence-to-sequence model, and files of its tokenizer, which may be a slow one."""
    from transformers import AutoModelForSeq2SeqLM

    from xtreme_dag.model.weights import load_complete, load_config
    from xtreme_dag.tables.tokenizer_files import require_tokenizer

    config = load_config(folder)
    if not config.is_encoder_decoder:
        return False
    require_tokenizer(folder)
    try:
        load_complete(AutoModelForSeq2SeqLM, folder, config, log=lambda _line: None)
    except UserError:  # an encoder alone, of an architecture that has a decoder
        return False
    return True


def _read(path: Path) -> dict[str, Any]:
    """The tensors of one pickle, by name; Lightning keeps them under `state_dict`."""
    import pickle

    import torch

    try:
        content: Any = torch.load(str(path), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        reason = str(error).splitlines()[0][:200]
        raise UserError(
            f"the pickle holds more than tensors, and is not read ({reason})",
            where=str(path),
            fix="a folder with model.safetensors needs no trust",
        ) from None
    except (OSError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise UserError(f"is no file of weights ({' '.join(str(error).split())[:200]})", where=str(path)) from None
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    if not isinstance(content, Mapping):
        raise UserError("holds no named tensors", where=str(path))
    return {str(name): value for name, value in content.items() if isinstance(value, torch.Tensor)}


def _apart(weights: Mapping[str, Any]) -> dict[str, Any]:
    """Tensors as safetensors needs them: contiguous, none sharing memory.

    A decoder tied to the embeddings or the bias is left out, as `save_pretrained` does; the configuration ties it again.
    """
    seen: set[tuple[int, int, tuple[int, ...], tuple[int, ...]]] = set()
    found: dict[str, Any] = {}
    for name in sorted(weights, key=lambda name: (".decoder." in name, name)):
        value = weights[name]
        place = (value.untyped_storage().data_ptr(), value.storage_offset(), tuple(value.shape), tuple(value.stride()))
        if place in seen and ".decoder." in name:
            continue
        seen.add(place)
        found[name] = value.clone().contiguous()
    return found


def _forbid(event: str, _arguments: object) -> None:
    """An audit hook that refuses connections and child processes."""
    if event in _FORBIDDEN:
        raise PermissionError(f"{event} is not allowed while pickled weights are read")


def main() -> None:
    """One conversion; prints one line of JSON: the number of weights, or what is wrong."""
    quick_start()
    sys.addaudithook(_forbid)
    try:
        answer = _write(Path(sys.argv[1]), Path(sys.argv[2]))
    except UserError as error:
        answer = {"what": error.what, "where": error.where, "fix": error.fix}
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
