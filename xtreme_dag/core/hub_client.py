"""A limit for how long the client of the Hugging Face hub waits for an answer."""

from __future__ import annotations

from functools import cache
from typing import Any

SECONDS = 60.0
"""For which a request waits to connect, to send, and for the next bytes of its answer."""


@cache
def limit_waiting() -> None:
    """Gives each request of the hub's client a limit of `SECONDS`, unless it has one of its own.

    By default several of them (what a repository has, its branches) wait without end for a hub that takes the connection
    and does not answer, and so would a plan or a stage.
    """
    from huggingface_hub import set_client_factory
    from huggingface_hub.utils import _http  # the factory that ours stands for has no public name

    def limit(request: Any) -> None:
        limits = request.extensions.setdefault("timeout", {})
        limits |= {name: SECONDS for name in ("connect", "read", "write", "pool") if limits.get(name) is None}

    def client() -> Any:
        made = _http.default_client_factory()
        hooks = made.event_hooks
        made.event_hooks = {**hooks, "request": [*hooks["request"], limit]}
        return made

    set_client_factory(client)
