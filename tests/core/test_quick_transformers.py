"""Transformers, whose names are kept: what it finds is the same; and what it leaves out without other processes."""

import json
import os
import subprocess
import sys

import pytest

_IMPORT = """
import json, sys
read = set()
sys.addaudithook(lambda event, arguments: event == "open" and read.add(str(arguments[0])))
if "quick" in sys.argv:
    from xtreme_dag.core.processes import quick_start
    quick_start()
import transformers
from transformers import XLMRobertaConfig, XLMRobertaTokenizer
import transformers.models
names = {module.__name__: module for module in (transformers, transformers.models)}
told = {
    name: {
        "where": dict(sorted(module._class_to_module.items())),
        "missing": {key: sorted(map(str, value)) for key, value in sorted(module._object_missing_backend.items())},
        "modules": sorted(module._modules),
        "all": sorted(module.__all__),
    }
    for name, module in names.items()
}
modules = {path.partition("/transformers/models/")[2] for path in read if path.endswith(".py")} - {""}
print(json.dumps({"names": told, "read": len(modules), "config": XLMRobertaConfig.__module__}))
"""


@pytest.fixture
def imported(tmp_path, repository):
    """A function that imports transformers in a process of its own, with the user's cache in `tmp_path`."""

    def call(*how: str):
        environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path), "PYTHONPATH": str(repository)}
        command = [sys.executable, "-c", _IMPORT, *how]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        return json.loads(done.stdout)

    return call


def test_the_names_are_those_that_transformers_finds(imported, tmp_path):
    """Where each of the 5,000 names is defined and what it needs: as without us, when first searched, and when kept."""
    plain = imported()
    first, again = imported("quick"), imported("quick")
    assert plain["names"] == first["names"] == again["names"] and len(plain["names"]["transformers"]["where"]) > 3_000
    assert plain["config"] == again["config"] == "transformers.models.xlm_roberta.configuration_xlm_roberta"
    assert plain["read"] > 1_000 and first["read"] > 1_000 and again["read"] < 50
    (kept,) = (tmp_path / "xtreme-dag").iterdir()
    whole = kept.read_bytes()
    kept.write_bytes(whole[:-10])  # as a full disk leaves it
    assert imported("quick") == first and kept.read_bytes() == whole


def test_one_process_knows_no_others_and_one_of_several_does(run, tmp_path):
    """A model is loaded, adapted and saved. Peft asks whether a parameter is spread over processes, Accelerate whether a model is."""
    alone = f"""
        from transformers import XLMRobertaConfig, XLMRobertaModel
        from transformers.utils import is_torch_distributed_available
        config = XLMRobertaConfig(vocab_size=9, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8)
        XLMRobertaModel(config).save_pretrained({str(tmp_path)!r})
        assert not is_torch_distributed_available()
        assert not {{"accelerate", "torch._dynamo", "torch.distributed.tensor"}} & set(sys.modules)
        import peft
        tuned = peft.get_peft_model(XLMRobertaModel.from_pretrained({str(tmp_path)!r}), peft.LoraConfig(target_modules=["query"]))
        assert not any("lora" in name for name, _ in tuned.merge_and_unload().named_modules())
    """
    of_two = """
        from transformers import XLMRobertaModel
        from transformers.utils import is_torch_distributed_available
        assert XLMRobertaModel and is_torch_distributed_available() and "torch.distributed.tensor" in sys.modules
    """
    run(alone)
    run(of_two, WORLD_SIZE="2")


def test_an_installation_without_a_list_of_its_files_is_searched(imported, tmp_path, monkeypatch):
    """Of an editable one nobody can say whether a file has changed since, nor of a copy beside the one that is installed."""
    listed = "transformers/models/__init__.py,sha256=00,10\n"
    for record in ("__editable___transformers_finder.py,sha256=00,10\n", listed):
        folder = tmp_path / str(len(record)) / "transformers-0.dist-info"
        folder.mkdir(parents=True)
        (folder / "METADATA").write_text("Name: transformers\nVersion: 5.23.0\n")
        (folder / "RECORD").write_text(record)
        code = f"import sys; sys.path.insert(0, {str(folder.parent)!r})\n" + _IMPORT
        with monkeypatch.context() as patch:
            patch.setattr(sys.modules[__name__], "_IMPORT", code)
            assert imported("quick")["read"] > 1_000
        assert not (tmp_path / "xtreme-dag").exists()
