"""Completion in fish and zsh, with the scripts that an installation brings."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from support.command import CHECKOUT
from support.completing import CASES, FILE, environ, flat

FISH = """
function __fish_complete_path; echo a-file; end
source deploy/share/fish/vendor_completions.d/receiver.fish
complete -C "$argv"
"""
ZSH = """
compdef() { registered=$1 }
_describe() { print -l -- ${(P)3%%:*} }
compadd() { print -l -- ${(P)@[-1]} }
_path_files() { print a-file }
source deploy/share/zsh/site-functions/_receiver
words=("$@"); CURRENT=$#; $registered
"""

every_case = pytest.mark.parametrize(("words", "offered"), CASES)


def offers(command: list[str], words: list[str]) -> set[str]:
    ended = subprocess.run(
        command, cwd=CHECKOUT, env=environ(), capture_output=True, text=True, check=False, timeout=60
    )
    assert ended.stderr == ""
    offered = flat("\n".join(line.partition("\t")[0] for line in ended.stdout.splitlines()), file="a-file")
    return {word for word in offered if word == FILE or word.startswith(words[-1])}


@every_case
def test_fish(program: Callable[..., list[str]], tmp_path: Path, words: list[str], offered: set[str]) -> None:
    fish = program("fish", "fish", "fish-common", "libpcre2-32-0")
    home = ["/usr/bin/env", f"HOME={tmp_path}", *fish, "--no-config"]
    assert offers([*home, "-c", FISH, " ".join(["receiver", *words])], words) >= offered


@every_case
def test_zsh(program: Callable[..., list[str]], words: list[str], offered: set[str]) -> None:
    zsh = program("zsh", "zsh", "zsh-common")
    modules = Path(zsh[-1]).parent.parent.glob("usr/lib/*/zsh/*")
    found = [f"module_path=({path}); " for path in modules]
    assert offers([*zsh, "-f", "-c", "".join(found) + ZSH, "-", "receiver", *words], words) >= offered
