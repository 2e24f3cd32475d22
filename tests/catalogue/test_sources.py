"""Locating tables: what is where, what only stands in, what is missing and how to get it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.data import release_files as release
from xtreme_dag.catalogue.catalogue import load_catalogue
from xtreme_dag.catalogue.sources import open_source, parse_source
from xtreme_dag.core.errors import UserError


def located(folder, dataset, language, split):
    return open_source("folder", {"path": str(folder)}).locate(load_catalogue().dataset(dataset), language, split)


def there(folder, dataset, split):
    return open_source("folder", {"path": str(folder)}).languages(load_catalogue().dataset(dataset), split)


def test_a_folder_in_xtremes_layout(tmp_path):
    release.xnli(tmp_path)
    found = located(tmp_path, "xnli", "de", "dev")
    assert found.files == {"table": tmp_path / "xnli/dev-de.tsv"}
    assert found.stand_in is None
    assert found.params["whole"] is True
    assert there(tmp_path, "xnli", "dev") == ("de", "en", "fr")


def test_the_folder_above_download_will_do(tmp_path):
    release.xnli(tmp_path / "download")
    assert located(tmp_path, "xnli", "de", "test").files["labels"] == tmp_path / "download/xnli/test-labels.txt"
    assert there(tmp_path, "xnli", "train") == ("de", "en", "fr")


def test_a_compressed_file_stands_for_its_name_and_a_plain_one_wins(tmp_path):
    for language in ("de", "en"):
        release.write(tmp_path / f"xquad/xquad.{language}.json", "{}", compress=True)
    release.write(tmp_path / "xquad/xquad.en.json", "{}")
    assert located(tmp_path, "xquad", "de", "test").files["table"].name == "xquad.de.json.gz"
    assert located(tmp_path, "xquad", "en", "test").files["table"].name == "xquad.en.json"


def test_treebanks_of_a_language_are_all_found_in_order(tmp_path):
    for bank in ("UD_English-GUM/en_gum", "UD_English-EWT/en_ewt"):
        release.write(tmp_path / f"ud-treebanks-v2.5/{bank}-ud-train.conllu", "")
    files = located(tmp_path, "udpos", "en", "train").files
    assert list(files) == ["table.0", "table.1"]
    assert [path.name for path in files.values()] == ["en_ewt-ud-train.conllu", "en_gum-ud-train.conllu"]


def test_a_stand_in_is_named_and_the_splits_stay_apart(tmp_path):
    """Without translate-train, XNLI dev is cut in two by premise: one half trains, the other selects."""
    release.xnli(tmp_path, train=False)
    train, dev = (located(tmp_path, "xnli", "de", split) for split in ("train", "dev"))
    assert "half of the premises" in train.stand_in
    assert train.params["whole"] is False
    assert train.files == dev.files
    assert train.params["options"]["part"]["keep"] == [1]
    assert dev.params["options"]["part"]["keep"] == [0]
    release.xnli(tmp_path, train=True)
    assert located(tmp_path, "xnli", "de", "dev").stand_in is None


def test_a_wording_is_not_in_the_params(tmp_path):
    """What a stand-in is called may be said better without preparing anything again."""
    release.xnli(tmp_path, train=False)
    found = located(tmp_path, "xnli", "de", "train")
    assert found.stand_in not in json.dumps(found.params)
    assert str(tmp_path) not in json.dumps(found.params)


def test_missing_data_say_what_where_and_how_to_get_it(tmp_path):
    with pytest.raises(UserError) as caught:
        located(tmp_path, "xnli", "de", "test")
    said = str(caught.value)
    assert "xnli, language de, split test" in said
    assert str(tmp_path) in said
    assert "xnli/test-de.tsv" in said
    assert "XNLI-1.0.zip" in said
    with pytest.raises(UserError, match=r"the split has no 'ja'\n  it has: ar bg de"):
        located(tmp_path, "xnli", "ja", "test")


def test_a_union_needs_all_its_parts(tmp_path):
    for name in ("s1", "s2", "labels"):
        release.write(tmp_path / f"snli/{name}.dev", "")
    with pytest.raises(UserError, match="mnli, language en, split train"):
        located(tmp_path, "anli_plus", "en", "train")
    assert there(tmp_path, "anli_plus", "train") == ()
    release.write(tmp_path / "xnli/train-en.tsv", "")
    for n in (1, 2, 3):
        release.write(tmp_path / f"anli_v1.0/R{n}/train.jsonl", "")
    found = located(tmp_path, "anli_plus", "en", "train")
    assert sorted(found.files) == ["0.label", "0.text_a", "0.text_b", "1.table", "2.r1", "2.r2", "2.r3"]
    assert [part["dataset"] for part in found.params["options"]["parts"]] == ["snli", "mnli", "anli"]
    assert found.stand_in.startswith("snli: nine tenths")
    assert there(tmp_path, "anli_plus", "train") == ("en",)


def test_the_miniworld_makes_everything_in_its_own_languages():
    source = open_source("miniworld", {"seed": 7, "rows": {"train": 100, "dev": 9}, "languages": ["en", "qaa"]})
    catalogue = load_catalogue()
    assert source.languages(catalogue.dataset("xnli"), "test") == ("en", "qaa")
    assert source.languages(catalogue.dataset("tatoeba"), "test") == ("qaa",)
    found = source.locate(catalogue.dataset("xnli"), "qaa", "train")
    assert found.files == {}
    assert found.params["options"] == {"seed": 7, "rows": 100}
    assert source.locate(catalogue.dataset("xnli"), "qaa", "dev").params["options"]["rows"] == 9
    with pytest.raises(UserError, match="the miniworld has no 'de' here"):
        source.locate(catalogue.dataset("xnli"), "de", "train")


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        ("foldr", {}, "no source 'foldr'\n  did you mean 'folder'"),
        ("folder", {"pth": "x"}, "unknown setting 'pth'\n  did you mean 'path'"),
        ("folder", {}, "a folder needs a path"),
        ("folder", {"path": "/nowhere/at/all"}, "no folder '/nowhere/at/all'"),
        ("miniworld", {"languages": ["qaaa"]}, "no miniworld language 'qaaa'\n  did you mean 'qaa'"),
    ],
)
def test_mistakes_are_named(kind, settings, message):
    with pytest.raises(UserError, match=message):
        open_source(kind, settings)


def test_sources_on_the_command_line(tmp_path):
    assert parse_source(f"folder:{tmp_path}").path == tmp_path
    assert parse_source("miniworld:3").seed == 3
    assert parse_source("hub").kind == "hub"
    with pytest.raises(UserError, match="'x' is not a seed"):
        parse_source("miniworld:x")


def test_locating_reads_nothing_and_imports_nothing_heavy(tmp_path):
    release.xnli(tmp_path)
    (tmp_path / "xnli" / "dev-de.tsv").chmod(0)
    code = (
        "import sys; from xtreme_dag.catalogue.catalogue import load_catalogue\n"
        "from xtreme_dag.catalogue.sources import open_source\n"
        "source = open_source('folder', {'path': sys.argv[1]}); c = load_catalogue()\n"
        "for d in c.datasets.values():\n"
        "    for s in d.splits:\n"
        "        for code in source.languages(d, s): source.locate(d, code, s)\n"
        "print([m for m in ('numpy', 'pyarrow', 'pandas', 'torch', 'great_expectations', 'datasets') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
