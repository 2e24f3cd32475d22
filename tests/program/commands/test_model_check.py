"""`doctor`, `plan` and `run` say what is wrong with a model's folder, before anything runs."""

import yaml
from click.testing import CliRunner

from tests.training.worlds import make_tokenizer
from xtreme_dag.core.home import Home
from xtreme_dag.program import model_check
from xtreme_dag.program.commands import doctor, plan, run
from xtreme_dag.wiring import preflight

STUDY = {
    "study": "spoilt",
    "data": {"miniworld": {"seed": 1, "languages": ["en", "qaa"], "train": 20, "select": 10, "test": 10}},
    "targets": ["xnli"],
    "seeds": [1],
    "recipe": {"name": "quick"},
    "intermediate": {"none": {}},
    "compare": {"baseline": "none"},
}


def spoilt(folder):
    """A model whose weights were never fetched."""
    make_tokenizer(folder)
    (folder / "config.json").write_text('{"model_type": "xlm-roberta"}')
    (folder / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\nsize 1\n")
    return folder


def test_all_three_name_the_file_and_what_to_do(tmp_path):
    folder = spoilt(tmp_path / "model")
    (tmp_path / "study.yaml").write_text(yaml.safe_dump({**STUDY, "model": {"folder": str(folder)}}))
    line = f"{folder / 'model.safetensors'}: is a pointer of Git LFS and not the file"
    home = ["--home", str(tmp_path / "home")]
    for command, given in (
        (doctor.command, ["--model", str(folder)]),
        (plan.command, [str(tmp_path / "study.yaml")]),
        (run.command, [str(tmp_path / "study.yaml")]),
    ):
        answer = CliRunner().invoke(command, [*given, *home])
        said = answer.output + str(answer.exception)
        assert answer.exit_code == 1 and line in said and "git lfs pull" in said
    assert not (tmp_path / "home" / "work").exists() or not any((tmp_path / "home" / "work").iterdir())


def test_what_was_found_is_remembered_until_a_file_changes(tmp_path, monkeypatch):
    folder, home, looks = spoilt(tmp_path / "model"), Home(tmp_path / "home"), []
    look = preflight.preflight
    monkeypatch.setattr(preflight, "preflight", lambda folder: looks.append(folder) or look(folder))
    first = model_check.findings_of(home, folder, remember=True)
    assert model_check.findings_of(home, folder) == first and len(looks) == 1
    (folder / "model.safetensors").write_text("")
    assert model_check.findings_of(home, folder) != first and len(looks) == 2


def test_a_model_that_translates_is_one_of_the_study_s(tmp_path):
    folder = spoilt(tmp_path / "translator")
    part = {"dataset": "xnli", "languages": ["qaa"], "translated": {"by": "model", "model": {"folder": str(folder)}}}
    made = {"mixture": [part], "budget": {"examples": 10}}
    study = {**STUDY, "model": {"pretrain": {"kind": "planted"}}, "intermediate": {"none": {}, "made": made}}
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(study))
    line = f"{folder / 'model.safetensors'}: is a pointer of Git LFS and not the file"
    for command in (plan.command, run.command):
        answer = CliRunner().invoke(command, [str(tmp_path / "study.yaml"), "--home", str(tmp_path / "home")])
        assert answer.exit_code == 1 and line in answer.output + str(answer.exception)
