"""What is installed from the wheel is whole: the migrations come with it, and nothing of a checkout is needed."""

import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest
from support.command import CHECKOUT, receiver
from support.databases import connected

from receiver.store import schema as migrate

PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "--no-input")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = (*PIP, "wheel", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", folder, CHECKOUT)
    subprocess.run(command, check=True, cwd=folder, timeout=120)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the wheel in it, and of this one the dependencies alone.

    A folder that a .pth file adds is searched, but the .pth files in it are not read: so the checkout, which is
    installed here by such a file, is out of reach.
    """
    folder = tmp_path_factory.mktemp("installed") / "venv"
    venv.create(folder, symlinks=True)
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    command = (*PIP, "--python", folder / "bin" / "python", "install", "--no-deps", "--no-index", wheel)
    subprocess.run(command, check=True, cwd=folder, timeout=120)
    return folder


def test_the_wheel_holds_what_the_service_reads(wheel: Path):
    names = set(zipfile.ZipFile(wheel).namelist())
    in_checkout = {
        "receiver/migrations" / path.relative_to(CHECKOUT / "migrations")
        for pattern in ("*.py", "*.sql")
        for path in (CHECKOUT / "migrations").rglob(pattern)
    }
    assert {str(path) for path in in_checkout} <= names
    assert {f"receiver/catalogue/{name}.tsv" for name in ("huawei", "cloudsms", "tencent")} <= names
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"receiver"}, "nothing else gets installed"
    assert [name for name in names if "__pycache__" in name or name.endswith(".pyc")] == []


async def test_the_installed_command_migrates_a_database_from_the_wheels_own_files(empty_database, installed, tmp_path):
    program = (str(installed / "bin" / "receiver"),)
    migrated = await receiver("migrate", folder=tmp_path, program=program, database_url=empty_database)
    assert (migrated.code, migrated.err) == (0, ""), migrated
    async with connected(empty_database) as connection:
        assert await connection.fetchval("SELECT count(*) FROM sms.code") > 1_900
    told = await receiver("explain", "E200027", folder=tmp_path, program=program)
    assert told.code == 0


async def test_nothing_of_the_checkout_is_used(installed, tmp_path):
    where = "from receiver.store import migrate; print(migrate.folder()); print(migrate.head())"
    program = (str(installed / "bin" / "python"), "-c", where)
    folder, head = (await receiver(folder=tmp_path, program=program)).out.splitlines()
    assert Path(folder).is_relative_to(installed)
    assert head == migrate.head()
