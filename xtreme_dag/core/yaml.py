"""Reads YAML with the scalars of YAML 1.2: `1e-5` is a number, `no` is a string; a repeated key is an error."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

_BOOL = "tag:yaml.org,2002:bool"
_FLOAT = "tag:yaml.org,2002:float"
_DEEPEST = 100  # mappings and lists inside one another; libyaml's composer crashes at some ten thousand
_MOST = 100_000  # values with all that aliases repeat
_SMALL = 2_000  # characters that cannot be too deep for libyaml and Python


@cache
def _loader() -> Any:
    """PyYAML's safe loader with the scalars of YAML 1.2's core schema; made when the first text is read.

    PyYAML reads YAML 1.1, where a float needs a point and a signed exponent (so the learning rate 1e-5 would be a string)
    and on, off, yes and no are booleans.
    """
    import yaml

    base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml where PyYAML has it: ten times as fast

    class Loader(base):  # type: ignore[misc]  # its base is known when it runs only
        """PyYAML's safe loader: texts, numbers, lists and mappings, never an object or a call."""

        yaml_implicit_resolvers = {  # noqa: RUF012 (PyYAML's own attribute)
            letter: [(tag, pattern) for tag, pattern in found if tag != _BOOL]
            for letter, found in base.yaml_implicit_resolvers.items()
        }

        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            """A mapping whose keys all differ."""
            seen: set[str] = set()
            for key in (key for key, _value in node.value if isinstance(key, yaml.ScalarNode)):
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"the key {key.value!r} stands twice", key.start_mark
                    )
                seen.add(key.value)
            return super().construct_mapping(node, deep)

    Loader.add_implicit_resolver(_BOOL, re.compile(r"(true|True|TRUE|false|False|FALSE)$"), list("tTfF"))
    Loader.add_implicit_resolver(
        _FLOAT, re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)[eE][-+]?[0-9]+$"), list("-+.0123456789")
    )
    return Loader


def read_yaml(text: str) -> Any:
    """The value of a YAML text of one document.

    Raises:
        yaml.YAMLError: it is not YAML, a mapping has a key twice, it is too deep, or its aliases repeat too much.
    """
    import yaml

    try:
        if len(text) > _SMALL or "*" in text:
            _bounded(text)
        return yaml.load(text, Loader=_loader())
    except (
        ValueError,
        TypeError,
        OverflowError,
        RecursionError,
    ) as error:  # a number or a date that is none, an odd key
        raise yaml.YAMLError(f"a value that is none ({error})") from None


def _bounded(text: str) -> None:
    """Refuses YAML that would take the stack or the memory, before it is composed: depth, and values with their aliases."""
    import yaml

    sizes: dict[str, int] = {}  # anchor -> values that an alias of it stands for
    open_: list[tuple[str | None, int]] = []  # anchors of what is open, and the values that there were before it
    count = 0
    for event in yaml.parse(text, Loader=_loader()):
        if isinstance(event, yaml.AliasEvent):
            count += sizes.get(str(event.anchor), 0)
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = open_.pop()
            if anchor:
                sizes[anchor] = count - before
            continue
        elif isinstance(event, yaml.NodeEvent):
            count += 1
            if isinstance(event, yaml.CollectionStartEvent):
                open_.append((event.anchor, count - 1))
            elif event.anchor:
                sizes[event.anchor] = 1
        if len(open_) > _DEEPEST:
            raise yaml.YAMLError(f"more than {_DEEPEST} lists and mappings inside one another")
        if count > _MOST:
            raise yaml.YAMLError(f"more than {_MOST:,} values")
