"""Requests to a Prefect server that may be away: each is made once, without retries."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import copy_context
from functools import cache
from time import sleep
from typing import Any

import certifi
import httpx
from prefect import get_run_logger
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.context import SettingsContext, get_settings_context
from prefect.exceptions import PrefectException
from prefect.settings import (
    PREFECT_API_SSL_CERT_FILE,
    PREFECT_API_TLS_INSECURE_SKIP_VERIFY,
)

# What a server that is away, busy or without the thing asked for raises.
REFUSALS = (httpx.HTTPError, PrefectException)
_ANSWER_SECONDS = 5.0


@contextmanager
def impatient() -> Iterator[None]:
    """Prefect's clients ask once inside: whoever waits for the server holds up a stage.

    Prefect's own `temporary_settings` reads all its settings anew for each change, in 20 ms.
    """
    context = get_settings_context()
    client = context.settings.client.model_copy(update={"max_retries": 0})
    with SettingsContext(profile=context.profile, settings=context.settings.model_copy(update={"client": client})):
        yield


@cache
def _trusted(certificates: str) -> ssl.SSLContext:
    """Whose signatures count for a server. Prefect reads the file for each client, in 50 ms, and we make many."""
    return ssl.create_default_context(cafile=certificates)


@contextmanager
def server_client() -> Iterator[SyncPrefectClient]:
    """A client of its own that asks once and waits 5 s at most for the answer."""
    settings: dict[str, Any] = {"timeout": _ANSWER_SECONDS}
    if not PREFECT_API_TLS_INSECURE_SKIP_VERIFY.value():
        settings["verify"] = _trusted(PREFECT_API_SSL_CERT_FILE.value() or certifi.where())
    with impatient(), get_client(sync_client=True, httpx_settings=settings) as client:
        yield client


def answers(attempts: int = 3) -> bool:
    """Whether the server answers, asked once a second."""
    for attempt in range(attempts):
        if attempt:
            sleep(1.0)
        with suppress(*REFUSALS), server_client() as client:
            if client.api_healthcheck() is None:
                return True
    return False


def ask_until(ended: threading.Event, look: Callable[[SyncPrefectClient], object], seconds: float) -> None:
    """Calls `look` with a client every so many seconds, in a thread of its own, until `ended` is set.

    A server that does not answer is asked again. So it is after any other error, which the run's log has: a watch that
    ended by itself would be missed by nobody until it is needed.
    """

    def run() -> None:
        while not ended.wait(seconds):
            try:
                with server_client() as client:
                    look(client)
            except REFUSALS:
                continue
            except Exception:
                get_run_logger().warning("could not look what has become of the flow run", exc_info=True)

    # The context holds Prefect's settings: without it the thread would ask another server.
    threading.Thread(target=copy_context().run, args=(run,), daemon=True).start()
