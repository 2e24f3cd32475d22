"""A home, and synthetic studies in it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.results.synthetic_study import Made, make_study


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """An empty home."""
    return tmp_path / "home"


@pytest.fixture
def make(home: Path) -> Callable[..., Made]:
    """Makes synthetic studies in `home`."""
    return lambda **options: make_study(home, **options)
