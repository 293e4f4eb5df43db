"""What the pages claim to run on is what `make test-matrix` runs on."""

import tomllib

import pytest
from matrix import interpreters, servers
from support.command import CHECKOUT
from support.pages import page

from receiver.embedded.binaries import MAJOR


def test_the_classifiers_are_the_pythons_of_the_matrix() -> None:
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    prefix = "Programming Language :: Python :: "
    claimed = [one.removeprefix(prefix) for one in project["classifiers"] if one.startswith(prefix)]
    assert claimed == list(interpreters.VERSIONS)
    assert project["requires-python"] == f">={interpreters.VERSIONS[0]}"


def test_the_pages_claim_the_same() -> None:
    *others, newest = interpreters.VERSIONS
    assert f"Python {', '.join(others)} or {newest}" in page("README.md")
    assert f"PostgreSQL {servers.VERSION} to {MAJOR}" in page("deploy/postgresql/README.md")
    assert f"PostgreSQL {servers.VERSION} and {MAJOR}" in page("docs/operations.md")


def test_an_interpreter_is_one_that_runs(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    """pyenv puts a shim on the PATH for versions that are not switched on."""
    shim = tmp_path / "python3.12"
    shim.write_text("#!/bin/sh\nexit 127\n")
    shim.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    assert shim not in interpreters.found().values()
