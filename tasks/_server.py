"""Requests to a Prefect server that may be away: each is made once, without retries."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import copy_context
from time import sleep

import httpx
from prefect import get_run_logger
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.exceptions import PrefectException
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

# What a server that is away, busy or without the thing asked for raises.
REFUSALS = (httpx.HTTPError, PrefectException)
_ANSWER_SECONDS = 5.0


@contextmanager
def impatient() -> Iterator[None]:
    """Prefect's clients ask once inside: whoever waits for the server holds up a stage."""
    with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}):
        yield


@contextmanager
def server_client() -> Iterator[SyncPrefectClient]:
    """A client of its own that asks once and waits 5 s at most for the answer."""
    with impatient(), get_client(sync_client=True, httpx_settings={"timeout": _ANSWER_SECONDS}) as client:
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
