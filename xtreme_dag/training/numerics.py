"""Set up the device, precision, determinism and seeds of training."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch.utils import deterministic

from xtreme_dag.core.errors import UserError
from xtreme_dag.study.train_recipe import TrainRecipe


def set_up(options: Mapping[str, Any], recipe: TrainRecipe) -> torch.device:
    """Chooses the device and makes its arithmetic reproducible.

    Args:
        options: `device` ("cpu", "cuda", "cuda:1", ...; "auto" takes CUDA where there is one) and `threads`.
        recipe: precision policy.
    """
    torch.set_num_threads(int(options.get("threads", 1)))
    name = str(options.get("device", "cpu"))
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    device = torch.device(name)
    if device.type == "cuda":
        if not torch.cuda.is_available():
            raise UserError("there is no CUDA device here", where="device", fix="set the device to cpu or auto")
        if "LOCAL_RANK" in os.environ:  # one of several processes: each takes the visible GPU of its own number
            device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        elif device.index is None:  # "cuda" is no device that set_device takes
            device = torch.device("cuda", torch.cuda.current_device())
        torch.cuda.set_device(device)
        # cuBLAS is reproducible only with a fixed workspace (CUDA documentation, "Results reproducibility").
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.set_float32_matmul_precision("high" if recipe.tf32 else "highest")
        torch.backends.cudnn.allow_tf32 = recipe.tf32
    torch.use_deterministic_algorithms(True)
    checks: Any = deterministic
    checks.fill_uninitialized_memory = False
    return device


def autocast(device: torch.device, recipe: TrainRecipe) -> AbstractContextManager[Any]:
    """bf16 for matrix products over fp32 weights, where the recipe and the device say so."""
    wanted = recipe.precision == "bf16" or (recipe.precision == "auto" and device.type == "cuda")
    return torch.autocast(device.type, dtype=torch.bfloat16) if wanted else nullcontext()


def seed_part(device: torch.device, seed: int, step: int, rank: int, part: int) -> None:
    """Seeds torch for one forward pass, so that no generator's state has to be stored or replayed; see `part_seed`."""
    number = part_seed(seed, step, rank, part)
    # `torch.manual_seed` notes it for GPUs that nobody uses, too: 1 ms, a twentieth of a small step.
    if device.type == "cpu":
        torch.default_generator.manual_seed(number)
    else:
        torch.manual_seed(number)


def part_seed(seed: int, step: int, rank: int, part: int) -> int:
    """The seed of one forward pass.

    Args:
        seed: the run's seed.
        step: optimizer step; -1 for what is drawn before the first.
        rank: process.
        part: micro-batch.
    """
    digest = hashlib.blake2b(f"{seed}/{step}/{rank}/{part}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1
