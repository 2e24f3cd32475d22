"""Recipes: how examples are encoded, models trained and evaluated. A named recipe is a YAML file in `recipes/`.

A recipe has four sections, `encode`, `intermediate`, `target` and `evaluate`. Inside a section, `default` holds for
all; a head (`span`) or a task or dataset (`xquad`) overrides it, in that order. Intermediate training on several tasks
takes the group `multi` in their place, and `multi_mlm` over it where masked language modelling is one of them. A study
names a recipe and may override any of it, a condition states settings of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

from xtreme_dag.core.errors import UserError, nearest, refuse_unknown
from xtreme_dag.core.yaml import read_yaml
from xtreme_dag.study.recipe_settings import SETTINGS, check_grid
from xtreme_dag.study.settings import checked

FOLDER = Path(__file__).with_name("recipes")
SECTIONS = tuple(SETTINGS)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A recipe, merged and checked.

    Attributes:
        name: of the recipe that it started from.
        sections: section -> group (`default`, a head, a task) -> settings.
    """

    name: str
    sections: Mapping[str, Mapping[str, Mapping[str, Any]]]

    def settings(self, section: str, *groups: str) -> dict[str, Any]:
        """Settings of a section for a head and a task: the default, then each group over it."""
        merged: dict[str, Any] = {}
        for group in ("default", *groups):
            merged |= self.sections[section].get(group, {})
        return merged


@cache
def _named(name: str) -> Mapping[str, Any]:
    names = {file.stem: file for file in FOLDER.glob("*.yaml")}
    if name not in names:
        raise UserError(f"no recipe {name!r}", where="recipe.name", fix=nearest(name, names))
    document: Mapping[str, Any] = read_yaml(names[name].read_text(encoding="utf-8"))
    return document


def load_recipe(given: Mapping[str, Any]) -> Recipe:
    """The recipe of a study: `{"name": ..., section: {group: {setting: value}}}`.

    Raises:
        UserError: an unknown recipe, section or setting, or a value that cannot be.
    """
    name = str(given.get("name", "quick"))
    base = _named(name)
    refuse_unknown(given, (*SECTIONS, "name"), what="section", where="recipe")
    sections = {section: _merged(base.get(section) or {}, given.get(section) or {}, section) for section in SECTIONS}
    return Recipe(name=name, sections=sections)


def _merged(base: Mapping[str, Any], over: Any, section: str) -> dict[str, dict[str, Any]]:
    example = "example: {default: {batch_size: 16}}"
    merged = {group: dict(settings) for group, settings in base.items()}
    if not isinstance(over, Mapping):
        raise UserError(f"holds {over!r}, not groups", where=f"recipe.{section}", fix=example)
    if section == "target" and "grid" in over and isinstance(over.get("default", {}), Mapping):
        # A grid outside of all groups is that of `default`.
        over = {**over, "default": {**over.get("default", {}), "grid": over["grid"]}}
        del over["grid"]
    for group, settings in over.items():
        if not isinstance(settings, Mapping):
            raise UserError(f"holds {settings!r}, not settings", where=f"recipe.{section}.{group}", fix=example)
        merged[group] = {**merged.get(group, {}), **settings}
    for group, settings in merged.items():
        checked_settings(settings, f"recipe.{section}.{group}", section)
    return merged


def checked_settings(settings: Mapping[str, Any], where: str, section: str = "intermediate") -> dict[str, Any]:
    """Settings of one group of a section; those of intermediate training also as a condition states them for itself.

    Raises:
        UserError: an unknown setting, or a value that is of the wrong type or out of its range.
    """
    kind = SETTINGS[section]
    refuse_unknown(settings, [field.name for field in fields(kind)], what="setting", where=where)
    checked(kind, settings, where=where)
    if settings.get("grid") is not None:
        check_grid(settings["grid"], f"{where}.grid")
    return dict(settings)
