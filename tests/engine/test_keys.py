"""Keys are the same in every process, and hang on nothing that cannot change the result."""

import os
import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xtreme_dag.core.files import canonical
from xtreme_dag.engine import fingerprint
from xtreme_dag.engine.fingerprint import CodeBase
from xtreme_dag.engine.graph import Kind, Stage
from xtreme_dag.engine.keys import Keys, changes, library_version

STAGE = Stage(
    of=Kind(name="encode", libraries=("pyarrow",)),
    name="encode[x]",
    function="xtreme_dag.core.files:canonical",
    params={"b": 1, "a": [1.5, "é", None], "c": {"y": 1, "x": 2}},
)
SCRIPT = """
from tests_key import STAGE
from xtreme_dag.engine.keys import Keys
print(Keys().key(STAGE, {"t": "d", "a": "e"}))
"""


def test_same_key_in_every_process(tmp_path):
    text = f"from xtreme_dag.engine.graph import Kind, Stage\nSTAGE = {STAGE!r}\n"
    (tmp_path / "tests_key.py").write_text(text)
    keys = set()
    for seed in ("0", "1", "12345"):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(tmp_path)}
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, check=True
        )
        keys.add(done.stdout.strip())
    assert keys == {Keys().key(STAGE, {"a": "e", "t": "d"})}


def test_labels_names_options_and_order_are_not_in_the_key():
    keys = Keys()
    key = keys.key(STAGE, {"t": "d"})
    same = replace(STAGE, name="other", options={"threads": 8}, labels={"condition": "x"}, after=("y",))
    assert keys.key(same, {"t": "d"}) == key
    assert keys.key(replace(STAGE, params=dict(reversed(STAGE.params.items()))), {"t": "d"}) == key


def test_parameters_inputs_libraries_and_function_are():
    keys = Keys()
    key = keys.key(STAGE, {"t": "d"})
    assert keys.key(replace(STAGE, params={**STAGE.params, "b": 2}), {"t": "d"}) != key
    assert keys.key(STAGE, {"t": "e"}) != key
    assert keys.key(replace(STAGE, of=Kind(name="encode")), {"t": "d"}) != key
    assert keys.key(replace(STAGE, more_libraries=("numpy",)), {"t": "d"}) != key
    assert keys.key(replace(STAGE, function="xtreme_dag.core.files:sha256_of"), {"t": "d"}) != key


def test_the_name_of_the_function_is_recorded_and_not_in_the_key(tmp_path):
    (tmp_path / "a.py").write_text("def one(params, inputs, context):\n    return 1\n")
    (tmp_path / "b.py").write_text("def two(params, inputs, context):\n    return 1\n")
    keys = Keys(CodeBase(tmp_path, "toy"))
    one, two = replace(STAGE, function="toy.a:one"), replace(STAGE, function="toy.b:two")
    assert keys.key(one, {}) == keys.key(two, {})
    assert keys.identity(two, {})["function"] == "toy.b:two"


def test_a_build_tag_is_not_a_version():
    assert "+" not in library_version("torch") and library_version("no-such-thing") == "absent"


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.text(min_size=1), _JSON))
def test_changes_are_empty_for_equal_values_only(value):
    assert changes(value, dict(value)) == []
    assert changes(value, {**value, "new key": 1}) == [("new key", value.get("new key"), 1)] or "new key" in value


@given(_JSON)
def test_canonical_json_does_not_depend_on_order(value):
    def reverse(item):
        if isinstance(item, dict):
            return {key: reverse(item[key]) for key in reversed(list(item))}
        return [reverse(inner) for inner in item] if isinstance(item, list) else item

    assert canonical(reverse(value)) == canonical(value)


def test_a_memo_holds_only_while_the_code_is_byte_for_byte_the_same(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    package = tmp_path / "toy"
    package.mkdir()
    (package / "__init__.py").write_text("")
    work = "def {}(params, inputs, context):\n    return LIMIT\n"
    functions = package / "functions.py"
    functions.write_text("LIMIT = 1\n\n" + work.format("work") + "\n\n" + work.format("rest"))

    def digest(name: str = "work") -> str:
        keys = Keys(CodeBase(package, "toy"), memo=True)
        found = keys.code_digest(f"toy.functions:{name}")
        keys.save()
        assert found == fingerprint.digest(CodeBase(package, "toy").fingerprint(f"toy.functions:{name}"))
        return found

    def memos() -> dict[str, str]:
        return {path.name: path.read_text() for path in (tmp_path / "cache").rglob("fingerprints-*")}

    first = digest()
    (before,) = memos().values()
    with monkeypatch.context() as patch:
        patch.setattr(CodeBase, "fingerprint", lambda *_: pytest.fail("it is in the memo"))
        assert Keys(CodeBase(package, "toy"), memo=True).code_digest("toy.functions:work") == first
    assert digest("rest") == first and memos() != {"": before}, "one that is added leaves the others"
    assert all(name in next(iter(memos().values())) for name in ("work", "rest"))
    functions.write_text(functions.read_text().replace("LIMIT = 1", "LIMIT = 2"))
    changed = digest()
    assert changed != first
    for path in (tmp_path / "cache").rglob("fingerprints-*"):
        path.write_text(path.read_text().replace(changed, first))
    assert digest() == changed, "a damaged memo is none"
