"""`make clean` and `make uninstall`: no report is deleted unless somebody asks for that in words."""

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from support.command import CHECKOUT

OURS = ("postgresql", "run", "spool", "pull", "postgresql-18.4")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the Makefile with a virtual environment of nothing beside it."""
    shutil.copy(CHECKOUT / "Makefile", tmp_path)
    (tmp_path / ".venv").mkdir()
    return tmp_path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "kept" / "data"
    for name in OURS:
        (folder / name).mkdir(parents=True)
        (folder / name / "file").touch()
    (folder / "receiver.lock").touch()
    (folder / "spool" / "spool.lock").touch()
    (folder / "postgresql.log").touch()
    (folder / "database-timelines.json").touch()  # of a PostgreSQL that failed over
    return folder


def make(checkout: Path, *arguments: str, data_dir: object = "") -> tuple[int, str]:
    environ = {"PATH": os.environ["PATH"], "HOME": str(checkout / "home"), "RECEIVER_DATA_DIR": str(data_dir)}
    ended = subprocess.run(
        ["make", *arguments], cwd=checkout, env=environ, capture_output=True, text=True, timeout=60, check=False
    )
    return ended.returncode, ended.stdout + ended.stderr


def files(folder: Path) -> set[str]:
    return {str(file.relative_to(folder)) for file in folder.rglob("*")}


def test_clean_leaves_the_data_folder_and_says_so(checkout: Path, data: Path) -> None:
    before = files(data)
    code, said = make(checkout, "clean", data_dir=data)
    assert (code, (checkout / ".venv").exists(), files(data)) == (0, False, before)
    assert f"Reports are kept in {data}" in said
    assert "make uninstall" in said


def test_uninstall_shows_what_it_would_remove_and_removes_nothing(checkout: Path, data: Path) -> None:
    before = files(data)
    code, said = make(checkout, "uninstall", data_dir=data)
    assert (code != 0, (checkout / ".venv").exists(), files(data)) == (True, True, before)
    assert str(data) in said
    assert "make uninstall CONFIRM=yes" in said


def test_uninstall_that_is_confirmed_removes_both(checkout: Path, data: Path) -> None:
    code, said = make(checkout, "uninstall", "CONFIRM=yes", data_dir=data)
    assert (code, data.exists(), (checkout / ".venv").exists()) == (0, False, False), said


def test_uninstall_removes_nothing_that_is_somebody_elses(checkout: Path, data: Path) -> None:
    (data / "thesis.txt").touch()
    code, said = make(checkout, "uninstall", "CONFIRM=yes", data_dir=data)
    assert code == 0, said
    assert files(data) == {"thesis.txt"}
    assert "not the receiver's" in said


@pytest.mark.parametrize("lock", ["receiver.lock", "spool/spool.lock"])
def test_uninstall_leaves_what_a_running_receiver_has(checkout: Path, data: Path, lock: str) -> None:
    before = files(data)
    with (data / lock).open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        code, said = make(checkout, "uninstall", "CONFIRM=yes", data_dir=data)
    assert (code != 0, files(data)) == (True, before)
    assert "stop it first" in said


@pytest.mark.parametrize("target", ["clean", "uninstall"])
def test_where_there_is_no_data_folder_only_the_environment_goes(checkout: Path, target: str) -> None:
    code, said = make(checkout, target, data_dir=checkout / "nowhere")
    assert code == 0, said
    assert not (checkout / ".venv").exists()
