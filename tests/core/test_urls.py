"""What of a URL may be shown and stored."""

import json

import pytest

from xtreme_dag.core.urls import PLAIN_URL, has_password, without_password


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("s3://key:secret@bucket/folder", "s3://key@bucket/folder"),
        ("s3://KEY:se/cr+et@bucket/folder", "s3://KEY@bucket/folder"),  # keys of S3 have slashes in them
        ("sftp://ann:p@ss@host:22/x", "sftp://ann@host:22/x"),
        ("http://ann:p:w@[::1]:80/x", "http://ann@[::1]:80/x"),
    ],
)
def test_a_password_is_found_and_not_shown(url, shown):
    assert has_password(url) and without_password(url) == shown and not has_password(shown)


@pytest.mark.parametrize(
    "url",
    [
        "s3://bucket/folder", "s3://bucket/a:b@c", "sftp://ann@host:22/x", "http://[::1]:80/x@y", "file:///a/b@c:d",
        "memory://x", "/a/folder@here", "folder",
    ],
)  # fmt: skip
def test_others_are_left_as_they_are(url):
    assert not has_password(url) and without_password(url) == url


def test_a_form_refuses_what_is_refused_here():
    """The pattern stands in the JSON schema of a deployment's form, too."""
    import jsonschema

    schema = json.loads(json.dumps({"type": "string", "pattern": PLAIN_URL}))
    jsonschema.validate("s3://bucket/folder", schema)
    for wrong in ("s3://key:secret@bucket", "s3://KEY:se/cret@bucket"):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, schema)


def test_what_goes_wrong_with_tracking_is_told_without_a_password(tmp_path, monkeypatch):
    pytest.importorskip("mlflow")
    from xtreme_dag.core.home import Home
    from xtreme_dag.program import tracking

    monkeypatch.setattr(tracking, "_PATIENCE", {})
    told = tracking.track_study(Home(tmp_path).ensure(), "s", "http://ann:planted@127.0.0.1:9/x")
    assert told.startswith("MLflow http://ann@127.0.0.1:9/x: ") and "planted" not in told
