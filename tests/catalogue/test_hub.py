"""The hub source against a loopback hub, through the real clients."""

from __future__ import annotations

import gzip
import io
import json
import os
import subprocess
import sys
from contextlib import contextmanager
from tempfile import mkdtemp

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.catalogue.hub_server import HubServer, Repository
from xtreme_dag.catalogue.catalogue import load_catalogue
from xtreme_dag.catalogue.sources import open_source
from xtreme_dag.catalogue.sources.hub import COLUMNS
from xtreme_dag.core.errors import UserError

COMMIT = "0123456789abcdef0123456789abcdef01234567"
OTHER = "f" * 40
CONVERTED, OWN = "c" * 40, "a" * 40

PREPARE = """
import json, sys
from pathlib import Path
from xtreme_dag.catalogue.catalogue import load_catalogue
from xtreme_dag.data.prepare.prepare import prepare
from xtreme_dag.catalogue.sources import open_source
from xtreme_dag.core.errors import UserError
from xtreme_dag.core.context import StageContext

for name, language, split, settings, out in json.loads(sys.argv[1]):
    out, dataset = Path(out), load_catalogue().dataset(name)
    try:
        located = open_source("hub", settings).locate(dataset, language, split)
        params = {**located.params, "dataset": name, "language": language, "split": split, "format": dataset.format,
                  "labels": list(dataset.labels), "limit": None, "limit_seed": 0}
        prepare(params, located.files, StageContext(out=out, scratch=out, options=located.options))
        print("PREPARED")
    except UserError as error:
        print("USER ERROR", json.dumps(str(error)))
"""


def parquet(columns: dict, features: dict | None = None) -> bytes:
    """A Parquet file, with the features of `datasets` in its metadata."""
    table = pa.table(columns)
    if features is not None:
        info = json.dumps({"info": {"features": features}})
        table = table.replace_schema_metadata({"huggingface": info})
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


def cosmos() -> bytes:
    return parquet(
        {"id": ["1"], "context": ["c"], "question": ["q"], **{f"answer{n}": [text] for n, text in enumerate("pqrs")},
         "label": [3]}
    )  # fmt: skip


def nli(names: list[str]) -> bytes:
    text = {"dtype": "string", "_type": "Value"}
    return parquet(
        {"premise": ["a", "b", "c"], "hypothesis": ["d", "e", "f"], "label": [0, 1, 2]},
        {"premise": text, "hypothesis": text, "label": {"names": names, "_type": "ClassLabel"}},
    )


def card(configs: list[dict]) -> bytes:
    lines = ["---", "configs:"]
    for config in configs:
        lines += [f"- config_name: {config['name']}", "  data_files:"]
        for split, path in config["splits"].items():
            lines += [f"  - split: {split}", f"    path: {path}"]
    return "\n".join([*lines, "---", "# A dataset", ""]).encode()


@pytest.fixture
def hub():
    xnli = Repository(
        commit=COMMIT,
        files={
            "README.md": card([{"name": lg, "splits": {"validation": f"{lg}/val-*", "test": f"{lg}/test-*"}} for lg in ("de", "fr")]),
            "de/val-0.parquet": nli(["entailment", "neutral", "contradiction"]),
            "de/test-0.parquet": nli(["contradiction", "neutral", "entailment"]),
            "fr/val-0.parquet": nli(["entailment", "neutral", "contradiction"]),
        },
    )  # fmt: skip
    squad = Repository(
        commit=COMMIT,
        gated=True,
        files={
            "default/validation/0000.parquet": parquet(
                {
                    "id": ["q1"], "title": ["t"], "context": ["It rains."], "question": ["What?"],
                    "answers": [{"text": ["rains"], "answer_start": [3]}],
                }
            ),
        },
    )  # fmt: skip
    code = {"cosmos_qa.py": b"raise SystemExit('never run')", "README.md": b"---\nlicence: x\n---\n"}
    converted = Repository(
        commit=CONVERTED,
        files={f"default/{split}/0000.parquet": cosmos() for split in ("train", "validation")}
        | {"default/partial-test/0000.parquet": cosmos()},
    )
    script = Repository(commit=COMMIT, files=code, others={"refs/convert/parquet": converted})
    partly = Repository(commit=CONVERTED, files={"default/partial-train/0000.parquet": cosmos()})
    bare = Repository(commit=COMMIT, files={"mlqa.py": b"raise SystemExit('never run')"})
    half = Repository(commit=COMMIT, files={"social.py": b""}, others={"refs/convert/parquet": partly})
    lines = b"".join(
        json.dumps({"premise": str(n), "hypothesis": "b", "label": n % 3}).encode() + b"\n" for n in range(4)
    )
    own = Repository(
        commit=OWN, files={"train.jsonl.gz": gzip.compress(lines), "validation.jsonl": lines, "test.csv": b"x\n1\n"}
    )
    named = Repository(
        commit=OWN,
        files={"README.md": card([{"name": "nli-German", "splits": {"dev": "d/*.gz"}}]), "d/0.jsonl.gz": gzip.compress(
            json.dumps({"s1": "a", "s2": "b", "gold": 2, "key": "k7"}).encode())},
    )  # fmt: skip
    repositories = {
        "facebook/xnli": xnli, "rajpurkar/squad": squad, "allenai/cosmos_qa": script, "facebook/mlqa": bare,
        "lighteval/siqa": half, "us/nli": own, "us/named": named,
    }  # fmt: skip
    with HubServer(repositories) as server:
        yield server


@contextmanager
def fetching(endpoint, tmp_path, *tables, token="", offline=False):
    """Prepares tables in a process of its own, since the clients read their environment when they are imported.

    A table is (dataset, language, split) or (dataset, language, split, settings of the source). Gives a
    function that waits for the rows of each, or in their place what it says that the user can mend.
    """
    env = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
    env |= {"HF_ENDPOINT": endpoint, "HF_HOME": str(tmp_path / "home"), "HF_HUB_DISABLE_TELEMETRY": "1"}
    env |= {"HF_TOKEN": token} if token else {}
    env |= {"HF_HUB_OFFLINE": "1"} if offline else {}
    asked = []
    for name, language, split, *settings in tables:
        out = mkdtemp(dir=tmp_path)
        asked.append([name, language, split, {"revisions": {name: COMMIT}, **(settings[0] if settings else {})}, out])

    def result():
        out, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
        told = [line for line in out.splitlines() if line.startswith(("PREPARED", "USER ERROR"))]
        return [
            pq.read_table(f"{out}/table.parquet").to_pylist()
            if line == "PREPARED"
            else json.loads(line[len("USER ERROR") :])
            for line, (*_, out) in zip(told, asked, strict=True)
        ]

    command = [sys.executable, "-c", PREPARE, json.dumps(asked)]
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield result
        finally:
            process.kill()


def fetch(server, tmp_path, *tables, **more):
    """The same, and waits."""
    with fetching(server.url, tmp_path, *tables, **more) as result:
        return result()


@pytest.fixture(scope="module", autouse=True)
def without_a_network(tmp_path_factory):
    """Begins before all tests of this module, since the client tries for half a minute."""
    with fetching("http://127.0.0.1:9", tmp_path_factory.mktemp("away"), ("xnli", "de", "dev")) as result:
        yield result


def test_trap_label_order_of_the_hub_is_not_the_order_of_the_task(hub, tmp_path):
    dev, test = fetch(hub, tmp_path, ("xnli", "de", "dev"), ("xnli", "de", "test"))
    assert [row["label"] for row in dev] == ["entailment", "neutral", "contradiction"]
    assert dev[0] == {
        "id": "dev-0", "language": "de", "split": "dev", "text_a": "a", "text_b": "d", "label": "entailment"
    }  # fmt: skip
    # The names in the data win over those that the catalogue believes in.
    assert [row["label"] for row in test] == ["contradiction", "neutral", "entailment"]
    assert not any(token for _, _, token in hub.requests)


def test_only_the_files_of_the_configuration_are_fetched_and_offline_nothing_else_than_the_cache(hub, tmp_path):
    de = ("xnli", "de", "dev")
    fetch(hub, tmp_path, de)
    fetched = {path for method, path, _ in hub.requests if method == "GET" and "/resolve/" in path}
    assert {path.rpartition("/")[2] for path in fetched} == {"README.md", "val-0.parquet"}
    assert all(COMMIT in path for path in fetched)
    asked = len(hub.requests)
    again, other = fetch(hub, tmp_path, de, (*de, {"revisions": {"xnli": OTHER}}), offline=True)
    assert len(again) == 3 and "not in the cache, and this is offline" in other
    (again,) = fetch(hub, tmp_path, (*de, {"offline": True}))
    assert len(again) == 3 and len(hub.requests) == asked


def test_retries_where_the_hub_is_busy(hub, tmp_path):
    hub.failures = 1
    (rows,) = fetch(hub, tmp_path, ("xnli", "fr", "dev"))
    assert len(rows) == 3


def test_token_comes_from_the_environment(hub, tmp_path):
    (rows,) = fetch(hub, tmp_path, ("squad_v1", "en", "dev"), token=hub.token)
    assert rows[0]["answers"] == [{"text": "rains", "start": 3}]


def test_errors_name_the_repository_and_what_to_do(hub, tmp_path):
    gated, absent, commit, configuration, code, part = fetch(
        hub, tmp_path, ("squad_v1", "en", "dev"), ("mnli", "en", "train"),
        ("xnli", "de", "dev", {"revisions": {"xnli": OTHER}}), ("xnli", "th", "dev"), ("cosmosqa", "en", "train"),
        ("socialiqa", "en", "train", {"revisions": {"socialiqa": CONVERTED}}),
    )  # fmt: skip
    assert "access is granted on its page" in gated
    assert "nyu-mll/multi_nli at 0123456789ab: no such dataset" in absent
    assert "no such commit" in commit
    assert "no configuration 'th'" in configuration
    assert "a repository of code is not run: `xtreme-dag data revisions --dataset cosmosqa`" in code
    assert "no data files match" in part  # a truncated conversion stands for nothing


def test_a_parquet_conversion_is_read_at_its_commit_and_so_is_what_a_study_names_instead(hub, tmp_path):
    """A study may name another repository, its configuration, splits and columns."""
    columns = {"text_a": "s1", "text_b": "s2", "label": "gold", "id": "key"}
    other = {"id": "us/named", "revision": OWN, "config": "nli-{Name}", "splits": {"dev": "dev"}, "columns": columns}
    converted, own, (named,) = fetch(
        hub, tmp_path, ("cosmosqa", "en", "dev", {"revisions": {"cosmosqa": CONVERTED}}),
        ("mnli", "en", "train", {"revisions": {}, "mnli": {"id": "us/nli", "revision": OWN, "config": None}}),
        ("xnli", "de", "dev", {"revisions": {}, "xnli": other}),
    )  # fmt: skip
    assert [(row["choices"], row["label"]) for row in converted] == [(["p", "q", "r", "s"], 3)]
    assert [row["label"] for row in own] == ["entailment", "neutral", "contradiction", "entailment"]
    assert (named["id"], named["text_a"], named["label"]) == ("k7", "a", "contradiction")


@pytest.mark.parametrize(("given", "said"), [
    ({"xnil": {}}, "'xnil'"),
    ({"xnli": {"revison": COMMIT}}, "'revison'"),
    ({"xnli": {"id": "xnli"}}, "'xnli' is not owner/name"),
    ({"xnli": {"revision": "main"}}, "'main' is not a commit"),
    ({"xnli": {"config": "{lang}"}}, "cannot be filled in"),
    ({"xnli": {"splits": {"testing": "test"}}}, "'testing'"),
    ({"xnli": {"columns": {"premise": "p"}}}, "'premise'"),
    ({"xnli": "us/nli"}, "holds 'us/nli', not keys"),
    ({"bucc2018": {"id": "a/b"}}, "no hub source that could be changed"),
    ({"xnli": {"revision": COMMIT}, "revisions": {"xnli": OTHER}}, "two revisions"),
])  # fmt: skip
def test_what_a_study_changes_of_a_dataset_is_checked(given, said):
    with pytest.raises(UserError, match=said):
        open_source("hub", given)


def test_another_repository_needs_its_own_commit_and_is_in_the_params():
    dataset = load_catalogue().dataset("xnli")
    with pytest.raises(UserError, match="no revision of us/nli is pinned"):
        open_source("hub", {"xnli": {"id": "us/nli"}}).locate(dataset, "de", "test")
    located = open_source("hub", {"xnli": {"id": "us/nli", "revision": COMMIT}}).locate(dataset, "de", "test")
    assert (located.params["options"]["id"], located.params["options"]["revision"]) == ("us/nli", COMMIT)


def test_what_readers_may_be_told_of_columns_is_what_the_catalogue_tells():
    for dataset in load_catalogue().datasets.values():
        for split in dataset.splits.values():
            if split.hub is not None:
                assert split.hub.options.keys() <= {*COLUMNS[split.hub.reader], "part", "leave_out"}
    assert not {split.hub.id for dataset in load_catalogue().datasets.values() for split in dataset.splits.values()
                if split.hub is not None} & {"allenai/social_i_qa"}  # fmt: skip


def test_a_revision_must_be_a_commit():
    with pytest.raises(UserError, match="pin the commit"):
        open_source("hub", {"revisions": {"xnli": "main"}})
    with pytest.raises(UserError, match=r"data.hub.revisions.xnli"):
        open_source("hub").locate(load_catalogue().dataset("xnli"), "de", "test")


def test_revisions_of_unknown_datasets_and_of_another_type_are_named():
    with pytest.raises(UserError, match=r"revisions\.xnil: no dataset 'xnil' in the catalogue\n  did you mean 'xnli'"):
        open_source("hub", {"revisions": {"xnil": COMMIT}})
    with pytest.raises(UserError, match="12 is not a commit"):
        open_source("hub", {"revisions": {"xnli": 12}})


def test_a_union_is_pinned_where_all_its_parts_are():
    catalogue = load_catalogue()
    source = open_source("hub", {"revisions": {"snli": COMMIT, "mnli": COMMIT}})
    assert [source.pinned(catalogue.dataset(name)) for name in ("snli", "anli_plus", "bucc2018")] == [
        True,
        False,
        False,
    ]
    assert open_source("hub", {"revisions": dict.fromkeys(("snli", "mnli", "anli"), COMMIT)}).pinned(
        catalogue.dataset("anli_plus")
    )


def called(server, tmp_path, *arguments, **environment):
    """The program against the loopback hub, in a process of its own."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
    env |= {"HF_ENDPOINT": server.url, "HF_HOME": str(tmp_path / "home"), **environment}
    command = [sys.executable, "-m", "xtreme_dag", "data", *arguments]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)


def test_the_program_asks_the_hub_for_commits_and_checks_with_them(hub, tmp_path):
    done = called(hub, tmp_path, "revisions", "--dataset", "xnli", "--dataset", "squad_v1", "--dataset", "bucc2018")
    assert done.returncode == 1
    lacks = "without train (no configuration 'ar')"
    assert done.stdout == f'data:\n  hub:\n    revisions:\n      xnli: "{COMMIT}"  # facebook/xnli, Parquet; {lacks}\n'
    assert "squad_v1: rajpurkar/squad: access is granted on its page" in done.stderr
    assert "bucc2018: not on the hub" in done.stderr
    told = json.loads(called(hub, tmp_path, "revisions", "--dataset", "squad_v1", "--json", HF_TOKEN=hub.token).stdout)
    assert told["revisions"] == {"squad_v1": COMMIT} and told["refused"] == {}
    done = called(
        hub, tmp_path, "check", "--source", "hub", "--revision", f"xnli={COMMIT}", "--language", "de", "--json"
    )
    assert done.stderr.startswith("left out, no commit is pinned or not on the hub: anli,")
    tables = {table["split"]: table for table in json.loads(done.stdout)["tables"]}
    assert tables["test"]["rows"] == 3
    # three rows are not the published 5,010, and the fixture's dev is its test
    broken = {rule["rule"] for rule in tables["test"]["rules"] if not rule["ok"]}
    assert broken == {"rows_as_published", "unseen_in_selection"}
    assert "has no split 'train'" in tables["train"]["rules"][0]["error"]
    assert (
        called(hub, tmp_path, "revisions", HF_HUB_OFFLINE="1").stderr
        == "hub: this is offline\n  unset HF_HUB_OFFLINE\n"
    )


def test_the_program_says_what_can_be_loaded_without_code(hub, tmp_path):
    names = ("cosmosqa", "socialiqa", "mlqa", "mnli")
    asked = [part for name in names for part in ("--dataset", name)]
    study = tmp_path / "study.yaml"
    study.write_text(
        "study: t\nseeds: [1]\ntargets: [xnli]\nmodel: {folder: m}\nintermediate: {none: }\ncompare: {baseline: none}\n"
        "data: {hub: {mnli: {id: us/nli, splits: {dev: validation}}}}\n"
    )
    done = called(hub, tmp_path, "revisions", *asked, "--source", f"study:{study}", "--json")
    told = json.loads(done.stdout)
    assert done.returncode == 1 and told["revisions"] == {"cosmosqa": CONVERTED, "mnli": OWN}
    assert told["loads"]["cosmosqa"] == "allenai/cosmos_qa, its Parquet conversion (it is code (cosmos_qa.py))"
    assert told["loads"]["mnli"].startswith("us/nli, CSV and JSON")
    assert told["refused"]["mlqa"] == (
        "facebook/mlqa: it is code (mlqa.py), and it has no Parquet conversion; "
        "name another in the study: data.hub.mlqa.id"
    )
    assert "and its Parquet conversion: without train" in told["refused"]["socialiqa"]
    assert not [path for _, path, _ in hub.requests if path.endswith((".py", ".parquet", ".gz"))]
    wrong = called(hub, tmp_path, "revisions", "--source", "miniworld")
    assert wrong.returncode == 1 and "miniworld is not the hub" in wrong.stderr


def test_a_cache_folder_is_not_in_the_params(tmp_path):
    source = open_source("hub", {"revisions": {"xnli": COMMIT}, "cache": str(tmp_path)})
    located = source.locate(load_catalogue().dataset("xnli"), "de", "test")
    assert str(tmp_path) not in json.dumps(located.params)
    assert located.options["hub_cache"] == str(tmp_path)
    assert located.params["options"]["revision"] == COMMIT


def test_no_network_is_an_error_in_one_line(without_a_network):
    (said,) = without_a_network()
    assert "the hub cannot be reached" in said and len(said.splitlines()) <= 2
