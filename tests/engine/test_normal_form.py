"""Normal forms: what counts and what does not, case by case; names and homes of definitions never do."""

import re

import pytest

from xtreme_dag.engine.code_changes import code_changes
from xtreme_dag.engine.fingerprint import CodeBase, digest

# name -> (files, edits that change nothing, edits that change something with what they make of the names).
# Each edit is (file, old, new); every case is also run with each of its module-level names renamed.
CASES = {
    "a parameter shadows a definition": (
        {"m.py": "helper = 1\ndef stage(helper):\n    return helper\n"},
        [("m.py", "helper = 1", "helper = 2")],
        [],
    ),
    "a comprehension binds only inside itself": (
        {"m.py": "item = 5\ndef stage(n):\n    return [item for item in range(n)], item\n"},
        [],
        [("m.py", "item = 5", "item = 6", ["m.item changed"])],
    ),
    "the first iterable of a comprehension is looked up outside": (
        {"m.py": "rows = [1]\ndef stage():\n    return [rows for rows in rows]\n"},
        [],
        [("m.py", "[1]", "[2]", ["m.rows changed"])],
    ),
    "a walrus in a comprehension binds in the function": (
        {"m.py": "last = 5\ndef stage(n):\n    found = [last := each for each in range(n)]\n    return found, last\n"},
        [("m.py", "last = 5", "last = 6")],
        [("m.py", "last := each", "last := -each", ["m.stage changed"])],
    ),
    "match": (
        {
            "m.py": "KIND = 1\nrest = 2\nclass Point:\n    x: int\ndef stage(value):\n    match value:\n"
            "        case Point(x=y):\n            return y\n        case {'a': 1, **rest}:\n            return rest\n"
            "        case _:\n            return KIND\n"
        },
        [("m.py", "rest = 2", "rest = 3")],
        [
            ("m.py", "KIND = 1", "KIND = 2", ["m.KIND changed"]),
            ("m.py", "x: int", "x: float", ["m.Point changed"]),
            ("m.py", "'a': 1", "'a': 2", ["m.stage changed"]),
        ],
    ),
    "global": (
        {
            "m.py": "count = 0\ndef bump(by):\n    global count\n    count += by\ndef stage():\n    bump(1)\n    return count\n"
        },
        [],
        [
            ("m.py", "count = 0", "count = 1", ["m.count changed"]),
            ("m.py", "global count", "count = 0", ["m.bump changed"]),
        ],
    ),
    "nested functions and nonlocal": (
        {
            "m.py": "def deep(x):\n    return x\ndef stage():\n    total = 0\n    def inner(deeper):\n"
            "        nonlocal total\n        total += deep(deeper)\n    inner(1)\n    return total\n"
        },
        [],
        [
            ("m.py", "return x", "return -x", ["m.deep changed"]),
            ("m.py", "inner(1)", "inner(2)", ["m.stage changed"]),
        ],
    ),
    "properties and the order of methods": (
        {
            "m.py": "def cut(x):\n    return x\nclass Box:\n    size = 3\n    def b(self):\n        return 1\n"
            "    def a(self):\n        return 2\n    @property\n    def wide(self):\n        return cut(self.size)\n"
            "def stage():\n    return Box().wide\n"
        },
        [
            (
                "m.py",
                "    def b(self):\n        return 1\n    def a(self):\n        return 2\n",
                "    def a(self):\n        return 2\n    def b(self):\n        return 1\n",
            )
        ],
        [
            ("m.py", "    @property\n", "", ["m.Box changed"]),
            ("m.py", "size = 3", "size = 4", ["m.Box changed"]),
            ("m.py", "return x", "return x + 1", ["m.cut changed"]),
        ],
    ),
    "a class body sees its own names before the module's, its methods do not": (
        {
            "m.py": "size = 1\nwidth = 2\nclass Box:\n    size = 3\n    area = size\n    def go(self):\n        return width\n"
            "    width = 9\ndef stage():\n    return Box()\n"
        },
        [],
        [
            ("m.py", "width = 2", "width = 3", ["m.width changed"]),
            ("m.py", "= size", "= 4", ["m.Box changed", "m.size removed"]),
        ],
    ),
    "recursive classes and a base class": (
        {
            "m.py": "class Base:\n    limit = 1\nclass Tree(Base):\n    def add(self):\n        return [Tree(), Leaf()]\n"
            "class Leaf(Base):\n    def up(self):\n        return Tree()\ndef stage():\n    return Leaf()\n"
        },
        [],
        [
            ("m.py", "limit = 1", "limit = 2", ["m.Base changed"]),
            ("m.py", "[Tree(), Leaf()]", "[Leaf(), Tree()]", ["m.Tree changed"]),
        ],
    ),
    "two classes that read alike stay two": (
        {
            "m.py": "class One(Exception):\n    pass\nclass Two(Exception):\n    pass\ndef stage(x):\n    try:\n"
            "        raise One\n    except Two:\n        return 1\n    except One:\n        return 2\n"
        },
        [],
        [("m.py", "raise One", "raise Two", ["m.stage changed"])],
    ),
    "a name defined twice, and one under a condition": (
        {
            "m.py": "import sys\ndef pick():\n    return 1\ndef pick():\n    return 2\nif sys.platform == 'linux':\n"
            "    def open_it():\n        return 3\nelse:\n    def open_it():\n        return 4\n"
            "def stage():\n    return pick() + open_it()\n"
        },
        [],
        [
            ("m.py", "return 1", "return 5", ["m.pick changed"]),
            ("m.py", "return 4", "return 5", ["m.open_it changed"]),
            ("m.py", "'linux'", "'win32'", ["m.open_it changed"]),
        ],
    ),
    "constants that refer to functions": (
        {
            "m.py": "from functools import partial\ndef one(x):\n    return x\nTABLE = {'one': one}\n"
            "quick = partial(one, 1)\ndef stage(n):\n    return TABLE[n](quick())\n"
        },
        [],
        [
            ("m.py", "return x", "return -x", ["m.one changed"]),
            ("m.py", "partial(one, 1)", "partial(one, 2)", ["m.quick changed"]),
            ("m.py", "{'one'", "{'two'", ["m.TABLE changed"]),
        ],
    ),
    "several names in one statement": (
        {"m.py": "A, B = 1, 2\ndef stage():\n    return A\n"},
        [],
        [
            ("m.py", "1, 2", "3, 2", ["m.A changed"]),
            ("m.py", "return A", "return B", ["m.A -> m.B changed"]),
        ],
    ),
    "star re-exports and submodules": (
        {
            "__init__.py": "from . import deep\nfrom .face import *\n",
            "face.py": "from .deep import *\n_hidden = 1\n",
            "deep.py": "LIMIT = 3\ndef go():\n    return LIMIT\n",
            "m.py": "from . import deep as again\nimport pkg\ndef stage():\n    return pkg.go() + again.LIMIT + pkg.deep.LIMIT\n",
        },
        [("face.py", "_hidden = 1", "_hidden = 2"), ("m.py", "again", "once_more")],
        [("deep.py", "LIMIT = 3", "LIMIT = 4", ["deep.LIMIT changed"])],
    ),
    "an import with a fallback": (
        {
            "m.py": "try:\n    from .fast import add\nexcept ImportError:\n    add = None\ndef stage():\n    return add\n",
            "fast.py": "def add():\n    return 1\n",
        },
        [],
        [("fast.py", "return 1", "return 2", ["fast.add changed"]), ("m.py", "= None", "= 0", ["m.add changed"])],
    ),
    "a module as a value": (
        {"m.py": "from . import tools\ndef stage(n):\n    return getattr(tools, n)\n", "tools.py": "a = 1\nb = 2\n"},
        [],
        [
            ("tools.py", "b = 2", "b = 3", ["tools.b changed"]),
            ("tools.py", "b = 2\n", "", ["tools.* changed", "tools.b removed"]),
        ],
    ),
    "other packages, however they are imported": (
        {"m.py": "import numpy as np\ndef stage(x):\n    return np.linalg.norm(x)\n"},
        [
            (
                "m.py",
                "import numpy as np\ndef stage(x):\n    return np.linalg",
                "from numpy import linalg\ndef stage(x):\n    return linalg",
            ),
        ],
        [("m.py", "import numpy", "import cupy", ["m.stage changed"])],
    ),
    "decorators, defaults and annotations": (
        {
            "m.py": "from dataclasses import dataclass\ndef twice(f):\n    return f\nSTEP = 2\nclass Kind:\n    a = 1\n"
            "@dataclass\nclass Row:\n    kind: Kind\n@twice\ndef work(x, by=STEP):\n    y: int = x\n    return y * by\n"
            "def stage(row: Row, n: int) -> int:\n    return work(Row(n))\n"
        },
        [("m.py", "y: int", "y: float"), ("m.py", "row: Row, n: int) -> int", "row, n)")],
        [
            ("m.py", "return f\n", "return lambda *a: f(*a)\n", ["m.twice changed"]),
            ("m.py", "@twice\n", "", ["m.twice removed", "m.work changed"]),
            ("m.py", "STEP = 2", "STEP = 3", ["m.STEP changed"]),
            ("m.py", "a = 1", "a = 2", ["m.Kind changed"]),
            ("m.py", "kind: Kind", "kind: Kind | None", ["m.Row changed"]),
        ],
    ),
    "errors and their advice": (
        {
            "m.py": "class Wrong(ValueError):\n    def __init__(self, what, fix=''):\n        self.fix = fix\n"
            "    def __str__(self):\n        return self.fix\nclass Short(Exception):\n    def __init__(self, left):\n"
            "        self.left = left\ndef advice(x):\n    return f'try {x}'\ndef make(what, code):\n    return Wrong(what)\n"
            "def stage(x):\n    if x > 1:\n        raise Wrong('too large', fix=advice(x))\n    if x > 2:\n"
            "        raise Short(x + 1)\n    if x > 3:\n        raise KeyError(f'no {x}')\n    raise make('bad', 5)\n"
        },
        [
            ("m.py", "too large", "far too large"),
            ("m.py", "f'try {x}'", "'give up'"),
            ("m.py", "f'no {x}'", "x, advice(x)"),
            ("m.py", "'bad'", "f'very bad {x}'"),
            ("m.py", "return Wrong(what)", "return Wrong('it is ' + what)"),
        ],
        [
            ("m.py", "x + 1", "x + 2", ["m.stage changed"]),
            ("m.py", ", 5)", ", 6)", ["m.stage changed"]),
            ("m.py", "KeyError", "TypeError", ["m.stage changed"]),
            ("m.py", "Wrong(ValueError)", "Wrong(KeyError)", ["m.Wrong changed"]),
        ],
    ),
    "what prepares an error": (
        {
            "m.py": "def near(x):\n    return x\ndef stage(x, it):\n    if x > 1:\n        first = next(it)\n"
            "        fix = near(x)\n        where = f'at {fix}'\n        raise ValueError(f'{where} {fix}')\n"
            "    try:\n        code = 5\n        raise ValueError(f'{code}')\n    except ValueError:\n        return code, first\n"
        },
        [
            ("m.py", "fix = near(x)", "fix = 3"),
            ("m.py", "return x\n", "return -x\n"),
            (
                "m.py",
                "        where = f'at {fix}'\n        raise ValueError(f'{where}",
                "        raise ValueError(f'at {x}",
            ),
        ],
        [("m.py", "code = 5", "code = 6", ["m.stage changed"]), ("m.py", "next(it)", "it", ["m.stage changed"])],
    ),
    "what is logged": (
        {
            "m.py": "import logging\nlogger = logging.getLogger('a')\ndef left(x):\n    return x\ndef stage(context, x):\n"
            "    context.log('started')\n    logger.info(f'at {left(x)}')\n    context.progress(left(x), 3, unit='rows')\n"
            "    return x\n"
        },
        [("m.py", "'started'", "f'started {x}'"), ("m.py", "f'at {left(x)}'", "'at'"), ("m.py", "'rows'", "'lines'")],
        [
            ("m.py", "return x\ndef", "return -x\ndef", ["m.left changed"]),
            ("m.py", "3, unit", "4, unit", ["m.stage changed"]),
        ],
    ),
    "effects of a module": (
        {
            "m.py": "TABLE = {}\nTABLE['a'] = 1\ndef stage():\n    return TABLE\nif __name__ == '__main__':\n    stage()\n"
        },
        [("m.py", "    stage()\n", "    print(stage())\n")],
        [
            ("m.py", "['a'] = 1", "['a'] = 2", ["m.<module> changed"]),
            ("m.py", "TABLE['a'] = 1\n", "", ["m.<module> removed"]),
            (
                "m.py",
                "TABLE['a'] = 1",
                "for each in 'ab':\n    TABLE[each] = 1",
                ["m.<module> changed", "m.each added"],
            ),
        ],
    ),
    "code that reads names": (
        {"m.py": "class One:\n    pass\nclass Two:\n    pass\ndef stage(x):\n    return x + 1\n"},
        [],
        [("m.py", "x + 1", "type(x).__name__, One", ["m.One added", "m.stage changed"])],
    ),
    "None and its absence": (
        {"m.py": "def stage(*, a=None):\n    return {None: a}\n"},
        [],
        [("m.py", "a=None", "a", ["m.stage changed"]), ("m.py", "None: a", "**a", ["m.stage changed"])],
    ),
}


class Package:
    def __init__(self, folder, files):
        self.folder = folder / "pkg"
        self.folder.mkdir()
        self.files = {"__init__.py": "", **files}
        self.write(self.files)

    def write(self, files):
        for name, text in files.items():
            (self.folder / name).write_text(text)

    def code(self):
        return CodeBase(self.folder, "pkg").fingerprint("pkg.m:stage")

    def edited(self, file, old, new):
        assert old in self.files[file], old
        self.write({file: self.files[file].replace(old, new)})
        found = self.code()
        self.write(self.files)
        return found


@pytest.fixture(params=CASES)
def case(request, tmp_path):
    files, same, changed = CASES[request.param]
    return Package(tmp_path, files), same, changed


def test_what_counts_and_what_does_not(case):
    package, same, changed = case
    before = package.code()
    for edit in same:
        after = package.edited(*edit)
        assert digest(after) == digest(before) and code_changes(before, after) == [], edit
    for file, old, new, reasons in changed:
        after = package.edited(file, old, new)
        assert digest(after) != digest(before), (old, new)
        assert [each.replace("pkg.", "") for each in code_changes(before, after)] == reasons


def test_no_module_level_name_counts(case):
    package, _, _ = case
    before = package.code()
    for dotted in before:
        name = dotted.rpartition(".")[2]
        text = "".join(package.files.values())
        # Not those whose words are attributes, strings, parameters or local names too, and where names count by rule.
        if name in ("stage", "size", "width", "logger") or dotted.startswith("pkg.tools"):
            continue
        if not name.isidentifier() or re.search(rf"['.=]{name}\b|\b{name}\b( :?= each|=|\)? in|\))", text):
            continue
        package.write({file: re.sub(rf"\b{name}\b", f"{name}_anew", each) for file, each in package.files.items()})
        after = package.code()
        assert f"{dotted}_anew" in after and digest(after) == digest(before), name
        assert code_changes(before, after) == []
        package.write(package.files)


def test_the_name_of_a_class_counts_where_it_is_read(tmp_path):
    package = Package(tmp_path, {"m.py": "class One:\n    pass\ndef stage(x):\n    return type(x).__name__, One\n"})
    assert digest(package.edited("m.py", "One", "Two")) != digest(package.code())
    own = Package(tmp_path / "pkg", {"m.py": "def stage():\n    return __file__\n"})
    own.write({"n.py": own.files["m.py"]})
    assert digest(own.code()) != digest(CodeBase(own.folder, "pkg").fingerprint("pkg.n:stage"))


def test_the_digest_of_a_recursive_pair_does_not_depend_on_names_and_order(tmp_path):
    even, odd = "def even(n):\n    return n == 0 or odd(n - 1)\n", "def odd(n):\n    return n != 0 and even(n - 1)\n"
    stage = "def stage(n):\n    return even(n), odd(n)\n"
    package = Package(tmp_path, {"m.py": even + odd + stage})
    before = digest(package.code())
    package.write({"m.py": stage + odd + even})
    assert digest(package.code()) == before
    package.write({"m.py": (even + odd + stage).replace("even", "zz").replace("odd", "even").replace("zz", "odd")})
    assert digest(package.code()) == before
    package.write({"m.py": "from .n import even\n" + odd + stage, "n.py": "from .m import odd\n" + even})
    assert digest(package.code()) == before
    package.write({"m.py": even + odd.replace("- 1", "- 2") + stage})
    assert digest(package.code()) != before
