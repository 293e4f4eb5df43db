"""Completion in bash, as an installation brings it."""

import shutil
import subprocess

import pytest
from support.command import CHECKOUT
from support.completing import CASES, environ, flat

TRY = """
source deploy/share/bash-completion/completions/receiver
compopt() { COMPREPLY=("$2"); }
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
complete -p receiver >/dev/null && _receiver_completion "$1" && echo "${COMPREPLY[@]}"
"""


@pytest.mark.skipif(not shutil.which("bash"), reason="bash is not installed")
@pytest.mark.parametrize(("words", "offered"), CASES)
def test_bash_offers_what_may_come_next(words: list[str], offered: set[str]) -> None:
    command = ["bash", "--norc", "-c", TRY, "-", "receiver", *words]
    ended = subprocess.run(command, cwd=CHECKOUT, env=environ(), capture_output=True, text=True, check=True, timeout=60)
    assert ended.stderr == ""
    assert flat(ended.stdout, file="default") >= offered
    assert words[-1] in {"", "-"} or flat(ended.stdout, file="default") == offered
