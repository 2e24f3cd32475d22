"""Text that is kept for the user: made once, checked when it is read, and never in the way."""

from xtreme_dag.core.user_cache import kept_text


def test_it_is_made_once_and_again_when_damaged(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    made = []

    def make():
        made.append(1)
        return "line\nä"

    assert kept_text("a.js", make) == kept_text("a.js", make) == "line\nä" and len(made) == 1
    path = tmp_path / "xtreme-dag" / "a.js"
    for damaged in (path.read_bytes()[:-1], path.read_bytes().replace(b"line", b"lime"), b"\xff", b""):
        path.write_bytes(damaged)
        assert kept_text("a.js", make) == "line\nä"
    assert len(made) == 5 and kept_text("b.js", lambda: "b") == "b"


def test_without_a_folder_nothing_is_kept(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert kept_text("a.js", lambda: "a") == kept_text("a.js", lambda: "a") == "a"
