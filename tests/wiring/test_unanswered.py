"""A plan names what cannot give a score."""

import gzip
import json

import pytest

from tests.data import release_files as release
from tests.wiring.small_studies import small
from xtreme_dag.core.errors import UserError
from xtreme_dag.wiring.build import build
from xtreme_dag.wiring.forecast.unanswered import unanswered
from xtreme_dag.wiring.kinds import EVALUATE

NONE = {"none": {}}


def said(**more):
    study = small(NONE, **more)
    return unanswered(study, build(study, absent=True))


def test_languages_that_no_target_has():
    with pytest.raises(UserError, match=r"languages: no target has a test in ko") as error:
        said(targets=["xnli"], languages=["ko"], data={"folder": "nowhere"})
    assert "tests of xnli: ar bg de" in error.value.fix
    assert said(targets=["xnli", "pawsx"], languages=["ko"], data={"folder": "nowhere"}) == [
        "xnli has no test in ko: it is trained and never tested"
    ]
    assert said(targets=["xnli"], languages=["de", "ko", "et"], data={"folder": "nowhere"}) == [
        "no target has a test in ko",
        "no target has a test in et",
    ]
    assert said() == []


def squad(folder, answers):
    qas = [{"id": str(n), "question": "q", "answers": answers} for n in range(3)]
    content = {"data": [{"paragraphs": [{"context": "c text", "qas": qas}]}]}
    release.write(folder / "xquad/xquad.de.json", json.dumps(content))


def test_tests_without_labels_here(tmp_path):
    for language in ("de", "en", "fr"):
        release.write(tmp_path / f"pawsx/test-{language}.tsv", "a\tb\n")
        release.write(tmp_path / f"xnli/test-{language}.tsv", "a\tb\n")
    release.write(tmp_path / "pawsx/test-labels.tsv", "id\tlabel_de\n0\t1\n")
    release.write(tmp_path / "panx/test-de.tsv", "".join(f"{word}\n" for word in "ab") + "\n")
    release.write(tmp_path / "panx/test-en.tsv", gzip.compress(b"a\tO\n\n"))
    squad(tmp_path, [{"text": "", "answer_start": 0}])
    study = {"targets": ["pawsx", "xnli", "panx", "xquad"], "languages": ["de", "en", "fr"]}
    no_score = "evaluations on it give no score"
    assert said(data={"folder": str(tmp_path)}, **study) == [
        f"pawsx test is here without labels in en fr: {no_score}",
        f"xnli test is here without labels in de en fr: {no_score}",
        f"panx test is here without labels in de: {no_score}",
        f"xquad test is here without labels in de: {no_score}",
    ]
    release.write(tmp_path / "xnli/test-labels.txt", "neutral\n")
    release.write(tmp_path / "panx/test-de.tsv", "a\tO\n\n")
    squad(tmp_path, [{"answer_start": 0, "text": "c"}])
    assert said(data={"folder": str(tmp_path)}, **study) == [f"pawsx test is here without labels in en fr: {no_score}"]


@pytest.mark.real
def test_the_real_folder_lacks_the_labels_of_five_languages(shared_data):
    targets = ["xnli", "pawsx", "udpos", "panx", "xquad", "mlqa", "tydiqa", "xcopa", "bucc2018", "tatoeba"]
    assert said(data={"folder": str(shared_data)}, targets=targets, languages=[]) == [
        "pawsx test is here without labels in en es fr ja ko: evaluations on it give no score"
    ]


def test_a_task_in_some_of_its_languages():
    built = build(small(NONE, targets={"xnli": {"languages": ["qaa"]}, "xquad": {}}))
    tested = {
        (stage.labels["task"], stage.labels["language"], stage.labels["split"])
        for stage in built.graph
        if stage.of is EVALUATE
    }
    assert tested == {
        ("xnli", "qaa", "test"), ("xnli", "en", "dev"),
        ("xquad", "qaa", "test"), ("xquad", "en", "test"), ("xquad", "en", "dev"),
    }  # fmt: skip
    with pytest.raises(UserError, match=r"targets.xnli.languages: unknown language 'uk'"):
        build(small(NONE, targets={"xnli": {"languages": ["uk"]}}))
