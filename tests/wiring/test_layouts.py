"""What the pre-flight knows of an architecture's weights is what loading says, and takes no torch."""

import json
import shutil
import subprocess
import sys

import pytest
from safetensors.torch import load_file, save_file

from bench import layouts as recorder
from tests.model import zoo
from tests.model.damages import DAMAGES
from xtreme_dag.model.trial import trial
from xtreme_dag.wiring import layouts
from xtreme_dag.wiring.model_files import json_of, shapes_of, weights_of

RECORDED = json.loads(layouts.FILE.read_text())
# What is told without loading: what is missing, what is all there. Another name or another shape may have its reason.
TOLD = {"missing_weight", "nothing", "larger_vocabulary", "no_head"}
# Sizes that are not equal where that decides about a layer.
UNEQUAL = {"roformer": {"embedding_size": 16}, "mpnet": {"relative_attention_num_buckets": 24}}
# These store their layers under the names of their own code, so a weight that lacks is named by the loading.
RENAMED = {"gte", "jina_embeddings_v3", "nomic_bert"}
OF_WEIGHTS = ("missing_weight", "foreign_weights", "unknown_prefix", "other_shape", "larger_vocabulary", "foreign_code")


def quick(folder):
    return layouts.verdict(
        folder, json_of(folder / "config.json"), {path: shapes_of(path) for path in weights_of(folder)}
    )


@pytest.mark.parametrize("name", ["xlm-roberta", "bert", "distilbert", "modernbert"])
def test_what_is_recorded_is_what_transformers_builds(name):
    assert recorder.layout_of(name) == RECORDED["architectures"][name]


def without_head(folder, base):
    weights = load_file(folder / "model.safetensors")
    save_file({name: weights[name] for name in weights if name.startswith(f"{base}.")}, folder / "model.safetensors")


def published(folder, layout):
    """Without settings of other architectures, which the zoo's sizes bring along."""
    known = {**layout["sizes"], **layout["values"]}
    kept = {key: value for key, value in json_of(folder / "config.json").items()
            if key in known or layouts.HARMLESS.search(key)}  # fmt: skip
    said = {"position_embedding_type": "absolute", "output_past": True}  # as in XLM-R's
    (folder / "config.json").write_text(json.dumps(kept | said))


@pytest.mark.parametrize("name", sorted(RECORDED["architectures"]))
def test_it_says_what_loading_says_or_nothing(name, tmp_path):
    """A model of the zoo with every damage that its weights can have."""
    layout = RECORDED["architectures"][name]
    made = {
        "nothing": lambda _folder: None,
        "no_head": lambda folder: without_head(folder, layout["base"]),
        **{damage: DAMAGES[damage] for damage in OF_WEIGHTS},
    }
    zoo.make(tmp_path / "whole", name, **UNEQUAL.get(name, {}))
    published(tmp_path / "whole", layout)
    told = set()
    for damage, spoil in made.items():
        folder = tmp_path / damage
        shutil.copytree(tmp_path / "whole", folder)
        spoil(folder)
        if (said := quick(folder)) is not None:
            told.add(damage)
            loading = trial(folder)
            assert {key: loading[key] for key in said} == said, damage
    assert told == TOLD - ({"missing_weight"} if name in RENAMED else set())


def test_a_look_takes_no_torch(tmp_path):
    zoo.make(tmp_path, "xlm-roberta")
    look = (
        "import sys; from pathlib import Path; from xtreme_dag.wiring.preflight import preflight\n"
        "found = preflight(Path(sys.argv[1]), trial=None)\n"
        "assert not found and not {'torch', 'transformers'} & set(sys.modules), found\n"
        "print('looked')"
    )
    done = subprocess.run([sys.executable, "-c", look, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout == "looked\n"
