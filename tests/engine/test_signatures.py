"""Signed records: a mirror that others can write to gives a team nothing that it did not sign itself."""

import json
from pathlib import Path

import pytest

from xtreme_dag.core.errors import UserError
from xtreme_dag.core.home import Home
from xtreme_dag.engine.calls import Request
from xtreme_dag.engine.local import run_local
from xtreme_dag.engine.mirror import Mirror
from xtreme_dag.engine.pool import WorkerPool
from xtreme_dag.engine.signatures import VARIABLE

SECRET = "a secret of a team, long enough"


@pytest.fixture
def ran(toy, pool, tmp_path, monkeypatch):
    """Runs the toy graph with a secret in a home of its own against one mirror: outcomes, and what the mirror says."""

    def ran(name, secret):
        monkeypatch.setenv(VARIABLE, secret) if secret else monkeypatch.delenv(VARIABLE, raising=False)
        mirror = Mirror(str(tmp_path / "mirror"))
        home = Home(tmp_path / name).ensure()
        outcomes = run_local(toy.graph(), toy.executor(pool, home=home, mirror=mirror))
        return set(outcomes.values()), mirror.trouble

    return ran


def records(tmp_path):
    return sorted((tmp_path / "mirror" / "records").rglob("*.json"))


def test_a_team_pulls_what_it_signed_and_no_more(ran, tmp_path):
    assert ran("first", SECRET) == ({"succeeded"}, "")
    assert all("signature" in json.loads(path.read_text()) for path in records(tmp_path))
    assert ran("second", SECRET) == ({"cached"}, "")
    outcomes, trouble = ran("stranger", SECRET + "!")
    assert outcomes == {"succeeded"} and f"it is not signed with the secret of {VARIABLE}" in trouble
    assert len(trouble.splitlines()) == 1
    # The stranger's have replaced them; without a secret everything is taken, and signatures stay out of the store.
    assert ran("trusting", "") == ({"cached"}, "")
    local = [json.loads(path.read_text()) for path in (tmp_path / "trusting" / "store" / "records").rglob("*.json")]
    assert local and not any("signature" in record for record in local)


def test_what_is_not_signed_is_refused(ran, tmp_path):
    assert ran("open", "") == ({"succeeded"}, "")
    outcomes, trouble = ran("team", SECRET)
    assert outcomes == {"succeeded"} and f"it is not signed, and {VARIABLE} is set" in trouble
    assert ran("member", SECRET) == ({"cached"}, ""), "what was refused was replaced"


@pytest.mark.parametrize("field", ["seconds", "host", "files", "signature", "params"])
def test_a_signed_record_cannot_be_changed(ran, tmp_path, field):
    assert ran("first", SECRET) == ({"succeeded"}, "")
    for path in records(tmp_path):
        record = json.loads(path.read_text())
        record[field] = {**record[field], "x": 1} if isinstance(record[field], dict) else f"{record[field]}0"
        path.write_text(json.dumps(record))
    outcomes, trouble = ran("second", SECRET)
    assert outcomes == {"succeeded"} and "is refused" in trouble


def test_a_short_secret_is_refused(monkeypatch, tmp_path):
    monkeypatch.setenv(VARIABLE, "hunter2")
    with pytest.raises(UserError, match="shorter than 16") as raised:
        Mirror(str(tmp_path))
    assert "hunter2" not in str(raised.value)


def test_the_secret_goes_nowhere(ran, toy, tmp_path, monkeypatch):
    code = (
        "import os\ndef tell(params, inputs, context):\n    (context.out / 'told').write_text(repr(dict(os.environ)))\n"
    )
    (toy.package / "tell.py").write_text(code)
    monkeypatch.setenv(VARIABLE, SECRET)
    (tmp_path / "out").mkdir()
    request = Request(function="toy.tell:tell", params={}, inputs={}, out=tmp_path / "out", scratch=tmp_path)
    with WorkerPool(1, tmp_path / "logs") as pool:
        pool.call(request, lambda event: None)
    ran("first", SECRET)
    ran("stranger", SECRET + "!")
    files = [path for path in Path(tmp_path).rglob("*") if path.is_file()]
    assert len(files) > 20 and not [path for path in files if SECRET.encode() in path.read_bytes()]
