"""Grids of hyperparameters: the choice among finished trials, and the chosen one's model."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from xtreme_dag.core.context import StageContext

SETTINGS, CHOICE = "settings.json", "choice.json"


def choose(params: Mapping[str, Any], inputs: Mapping[str, Path], context: StageContext) -> Mapping[str, Any]:
    """Chooses the trial with the best figure on dev; of equal ones the first.

    The figure is that of model selection (`training.selection`), at the step whose weights a trial kept. No metric that
    a study reports and no test is looked at.

    Args:
        params: `trials`, the settings of each.
        inputs: `trial/<number>`, its `training.json`.
        context: `out` receives `settings.json`, the chosen ones alone, and `choice.json`, what they were chosen from.
    """
    reports = [json.loads(inputs[f"trial/{number}"].read_text("utf-8")) for number in range(len(params["trials"]))]
    figures = [
        next(look["mean"] for look in report["selection"] if look["step"] == report["kept_step"]) for report in reports
    ]
    chosen = max(range(len(figures)), key=lambda number: figures[number])
    found = {
        "chosen": chosen,
        "trials": [
            {"settings": settings, "dev": figure, "kept_step": report["kept_step"]}
            for settings, figure, report in zip(params["trials"], figures, reports, strict=True)
        ],
    }
    _write(context.out / CHOICE, found)
    _write(context.out / SETTINGS, params["trials"][chosen])
    return {"trials": len(figures)}


def take(params: Mapping[str, Any], inputs: Mapping[str, Path], context: StageContext) -> Mapping[str, Any]:
    """Makes the chosen trial's artifact this stage's, file for file: the store then holds it once.

    Args:
        params: `trials`, the settings of each.
        inputs: `choice`, the chosen settings; `trial/<number>`, the artifact of each trial.
        context: `out` receives hard links, or copies where the store is on another disk.
    """
    settings = chosen_settings(inputs)
    folder = inputs[f"trial/{params['trials'].index(settings)}"]
    for path in sorted(folder.rglob("*")):
        place = context.out / path.relative_to(folder)
        if path.name.startswith("."):  # no part of an artifact
            continue
        if path.is_dir():
            place.mkdir(parents=True, exist_ok=True)
            continue
        try:
            os.link(path, place)
        except OSError:
            shutil.copyfile(path, place)
    return {"settings": settings}


def chosen_settings(inputs: Mapping[str, Path]) -> dict[str, Any]:
    """The settings that a choice gives to a training; none where it has no such input."""
    if "choice" not in inputs:
        return {}
    settings: dict[str, Any] = json.loads(inputs["choice"].read_text("utf-8"))
    return settings


def _write(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1, sort_keys=True) + "\n", encoding="utf-8")
