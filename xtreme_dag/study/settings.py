"""Typed, frozen settings (pydantic), and their validation errors as `UserError`s of one or two lines."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self, TypeVar, get_args, get_origin

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from xtreme_dag.core.errors import UserError, nearest

_KINDS = {"int": "a whole number", "float": "a number", "bool": "true or false", "string": "a word", "tuple": "a list",
          "dataclass": "a group of settings"}  # fmt: skip
_UNKNOWN = ("extra_forbidden", "unexpected_keyword_argument")
# No unknown keys, no infinity; an int is accepted for a float, no other type is converted.
STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
T = TypeVar("T")


class Settings(BaseModel):
    """A group of settings, frozen and `STRICT`."""

    model_config = ConfigDict(**STRICT, frozen=True)

    @classmethod
    def from_params(cls, params: Mapping[str, Any], *, where: str) -> Self:
        """The settings from JSON values; see `checked`."""
        return checked(cls, params, where=where)


def checked(kind: type[T], params: Mapping[str, Any], *, where: str) -> T:
    """An instance of a model or dataclass of pydantic's.

    Raises:
        UserError: an unknown key, a value of the wrong type or outside its range; it names the key.
    """
    try:
        return kind(**{str(name): value for name, value in params.items()})
    except ValidationError as error:
        raise UserError(**explained(error, kind, where)) from None


def within(holds: Callable[[Any], bool], wanted: str) -> AfterValidator:
    """A bound of a field, for `Annotated`: values that do not hold are refused as "VALUE is not WANTED"."""

    def check(value: Any) -> Any:
        if not holds(value):
            raise ValueError(f"is not {wanted}")
        return value

    return AfterValidator(check)


def explained(error: ValidationError, model: type[Any], where: str) -> dict[str, str]:
    """The first validation error, as arguments of a `UserError`; unknown keys come before what they may have caused.

    Args:
        error: what pydantic found.
        model: what was read.
        where: the file or the group of settings.
    """
    found = error.errors(include_url=False)
    first = next((entry for entry in found if entry["type"] in _UNKNOWN), found[0])
    location = [
        part for part in first["loc"] if not (isinstance(part, str) and (part.startswith("function-") or "[" in part))
    ]
    key = ".".join(str(part) for part in location) or str((first["loc"] or ("",))[-1])
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    value = first.get("input")
    if first["type"] in _UNKNOWN:
        valid = _fields_at(model, location[:-1])
        return {"what": f"there is no key {key!r}{more}", "where": where, "fix": nearest(str(first["loc"][-1]), valid)}
    if first["type"] == "missing":
        return {"what": f"key {key!r} is missing{more}", "where": where}
    if first["type"] == "literal_error":
        options = re.findall(r"'([^']*)'", first["ctx"]["expected"])
        advice = nearest(str(value), options)
        return {
            "what": f"{key}: {value!r} is not one of {', '.join(options)}{more}",
            "where": where,
            "fix": advice if advice.startswith("did") else "",
        }
    message = _plain(first)
    if message.startswith("is not "):
        return {"what": f"{key}: {value!r} {message}{more}", "where": where}
    shown = f" (given {value!r})" if isinstance(value, str | int | float | bool) else ""
    return {"what": f"{key}: {message}{shown}{more}" if key else f"{message}{more}", "where": where}


def _plain(entry: Any) -> str:
    """What is wrong with a value; pydantic's messages about types and bounds are put into plain words."""
    kind, _, rest = entry["type"].partition("_")
    if kind in _KINDS and rest in ("type", "parsing", "from_float"):
        return f"is not {_KINDS[kind]}"
    bound = entry.get("ctx", {})
    if bound.get("gt") == 0:
        return "is not positive"
    if bound.get("ge") == 0:
        return "is not zero or more"
    return str(entry["msg"]).removeprefix("Value error, ")


def _fields_at(model: type[Any], location: Sequence[Any]) -> list[str]:
    """Names of the keys that are valid at a place."""
    found: Any = model
    for part in location:
        if found is None:
            return []
        if isinstance(part, str) and part in found.__pydantic_fields__:
            inner = _models_in(found.__pydantic_fields__[part].annotation)
            found = inner[0] if inner else None
        # Otherwise the part is a name in a mapping or an index: the same model holds for all of them.
    return list(found.__pydantic_fields__) if found else []


def _models_in(annotation: Any) -> list[type[Any]]:
    if isinstance(annotation, type) and get_origin(annotation) is None:
        return [annotation] if hasattr(annotation, "__pydantic_fields__") else []
    return [model for inner in get_args(annotation) for model in _models_in(inner)]
