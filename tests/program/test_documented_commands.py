"""Every call of the program in README and docs/ names a command, options and arguments that are there."""

import re
import shlex

import click
import pytest

from xtreme_dag.program.cli import program

PAGES = ("README.md", "CONTRIBUTING.md", "docs/*.md")
CALL = re.compile(r"(?:^ {4}|`|exec worker )xtreme-dag ([^`\n]*)", re.MULTILINE)
FENCED = re.compile(r"^```\w*\n(.*?)^```", re.MULTILINE | re.DOTALL)
EXAMPLES = ("languages",)  # the command that docs/howto-extend.md adds


def indented(block):
    return re.sub(r"^", "    ", block[1], flags=re.MULTILINE)


def calls(repository):
    for pattern in PAGES:
        for path in sorted(repository.glob(pattern)):
            for line in CALL.findall(FENCED.sub(indented, path.read_text())):
                if not line.startswith((*EXAMPLES, "NAME")):
                    yield path.name, line.split("  #")[0].strip()


def test_calls_fit_the_commands(repository):
    found = list(calls(repository))
    assert len(found) > 60
    for page, line in found:
        words = shlex.split(line, comments=True)
        command, context = program, click.Context(program)
        while words and isinstance(command, click.Group) and not words[0].startswith("-"):
            command = command.get_command(context, words.pop(0))
            assert command is not None, (page, line)
        options = {name: one for one in command.params if isinstance(one, click.Option) for name in one.opts}
        given = {word.split("=")[0] for word in words if word.startswith("-")} - {"--help"}
        assert given <= set(options), (page, line)
        required = {one.name for one in command.params if one.required and isinstance(one, click.Option)}
        if len(words) > 0:
            missing = required - {options[name].name for name in given}
            assert not missing, (page, line, missing)


@pytest.mark.parametrize("line", ["compare --studdy demo", "score --predictions x", "no-such-command"])
def test_a_call_that_does_not_fit_is_found(tmp_path, line):
    (tmp_path / "README.md").write_text(f"`xtreme-dag {line}`\n" + "`xtreme-dag plan`\n" * 61)
    with pytest.raises(AssertionError):
        test_calls_fit_the_commands(tmp_path)
