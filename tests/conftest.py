"""Shared fixtures: quiet, single-threaded, offline, and the real data beside the checkout."""

import atexit
import gc
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from xtreme_dag.core.home import Home
from xtreme_dag.core.locks import locked
from xtreme_dag.core.processes import quick_start
from xtreme_dag.program.server import server

quick_start()
if "PYTEST_XDIST_WORKER" in os.environ:
    # What was registered later runs before. Taking millions of objects apart would keep the session waiting for seconds.
    atexit.register(os._exit, 0)

for name, value in {
    "OMP_NUM_THREADS": "1",
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "GX_ANALYTICS_ENABLED": "false",
    "TOKENIZERS_PARALLELISM": "false",
}.items():
    os.environ.setdefault(name, value)

# The machine may be shared: how long an example takes, or is waited for, says nothing about the code.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Of several processes one runs all of a module, whose fixtures are made once, and so of a group of modules.

    The groups come first, then modules with slow tests, so that the processes end together. Otherwise modules come in an
    order of chance, the same each time: those of one folder often wait in the same way, and would do so together.
    """
    grouped = {item.path for item in items if item.get_closest_marker("xdist_group")}
    slow = {item.path for item in items if item.get_closest_marker("slow")}

    def turn(path: Path) -> tuple[int, str]:
        if path in grouped:
            return 0, ""
        chance = hashlib.sha256(path.relative_to(REPOSITORY).as_posix().encode()).hexdigest()
        return (1 if path in slow else 2), chance

    items.sort(key=lambda item: turn(item.path))
    for item in items:
        if not item.get_closest_marker("xdist_group"):
            item.add_marker(
                pytest.mark.xdist_group(item.path.relative_to(REPOSITORY / "tests").with_suffix("").as_posix())
            )


def pytest_collection_finish() -> None:
    """What the tests' modules have imported stays: the garbage collector need not look at it again and again."""
    gc.collect()
    gc.freeze()


def pytest_unconfigure() -> None:
    """A process that ends by itself exempts nothing from the last collection: DuckDB prints a list of what was not freed."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        gc.unfreeze()


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return REPOSITORY


@pytest.fixture(autouse=True)
def no_catalogues(monkeypatch: pytest.MonkeyPatch) -> None:
    """No catalogue of the user's own is left over from another test."""
    monkeypatch.setattr("xtreme_dag.catalogue.own._found", {})
    monkeypatch.setenv("XTREME_DAG_CATALOGUE", "")  # so that what a test sets goes again


@pytest.fixture(scope="session")
def wheel_file(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program's wheel, built of a copy of the checkout."""
    source, out = tmp_path_factory.mktemp("source") / "xtreme-dag", tmp_path_factory.mktemp("wheel")
    source.mkdir()
    for name in ("xtreme_dag", "tasks", "flows", "studies", "data_contracts"):
        shutil.copytree(repository / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(repository / name, source)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*command, "--wheel-dir", out, source], check=True, capture_output=True)
    (path,) = out.glob("*.whl")
    return path


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with real data and reference cases beside the checkout; CI fails without it, others skip."""
    folder = REPOSITORY.parent / "shared"
    if not (folder / "data" / "MANIFEST.tsv").is_file():
        message = f"{folder / 'data'} is missing: real-data tests need the benchmark folder beside the checkout"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return folder


@pytest.fixture(scope="session")
def shared_data(shared: Path) -> Path:
    """Real benchmark data."""
    return shared / "data"


@pytest.fixture(scope="session")
def multilingual_encoder(shared: Path) -> Path:
    """A real multilingual encoder (multilingual-e5-small), made once per machine, outside the checkout."""
    folder = Path(tempfile.gettempdir()) / "xtreme-dag-tests" / "multilingual-e5-small"
    folder.parent.mkdir(exist_ok=True)
    with locked(folder.with_suffix(".lock"), "a test"):
        if not folder.is_dir():
            made = Path(tempfile.mkdtemp(dir=folder.parent))
            script = shared / "models" / "multilingual_e5_small.py"
            subprocess.run([sys.executable, script, made], check=True, capture_output=True)
            made.rename(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_translator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sequence-to-sequence model with random weights, and a tokenizer of a few whole words."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration

    folder = tmp_path_factory.mktemp("t5")
    words = ["<pad>", "</s>", "<unk>", "deu", "rus", *"abcdefghij"]
    backend = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    backend.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    ).save_pretrained(folder)
    torch.manual_seed(0)
    config = T5Config(vocab_size=len(words), d_model=16, d_kv=8, d_ff=32, num_layers=1, num_heads=2,
                      decoder_start_token_id=0, pad_token_id=0, eos_token_id=1)  # fmt: skip
    T5ForConditionalGeneration(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def prefect_api(tmp_path_factory: pytest.TempPathFactory):
    """One real Prefect server on loopback for all whole-study tests of this process."""
    environment = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith("PREFECT_")}
    with server(Home(tmp_path_factory.mktemp("prefect-home")).ensure(), print) as api:
        yield api
    os.environ.update(environment)
