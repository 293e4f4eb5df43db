"""What is installed from the wheel is whole: the migrations come with it, and nothing of a checkout is needed."""

import os
import shutil
import subprocess
import sys
import venv
import zipfile
from importlib.metadata import distribution, distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from support.command import CHECKOUT, receiver
from support.databases import connected

from receiver.store import schema

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
    """A virtual environment with the wheel and what it requires without any extra, and with nothing else."""
    folder = tmp_path_factory.mktemp("installed") / "venv"
    venv.create(folder, symlinks=True)
    (site,) = folder.glob("lib/python*/site-packages")
    command = (*PIP, "--python", folder / "bin" / "python", "install", "--no-deps", "--no-index", wheel)
    subprocess.run(command, check=True, cwd=folder, timeout=120)
    for name in required("delivery-report-receiver", path=[str(site)]):
        found = distribution(name)
        for top in {file.parts[0] for file in found.files or () if ".." not in file.parts}:
            if not (site / top).exists():
                (site / top).symlink_to(found.locate_file(top))
    return folder


def required(name: str, path: list[str] | None = None) -> set[str]:
    """The distributions that one requires, and that those require, without an extra that is not asked for."""
    (root,) = distributions(name=name, path=path) if path else (distribution(name),)
    found: dict[str, set[str]] = {}
    waiting = [(root, {""})]
    while waiting:
        one, extras = waiting.pop()
        for requirement in map(Requirement, one.requires or ()):
            marker = requirement.marker
            wanted = marker is None or any(marker.evaluate({"extra": extra}) for extra in extras)
            if wanted and not found.get(requirement.name, set()) >= (asked := {"", *requirement.extras}):
                found[requirement.name] = asked
                waiting.append((distribution(requirement.name), asked))
    return set(found)


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
    tops = {top for top in tops if not top.endswith((".dist-info", ".data"))}
    assert tops == {"receiver"}, "nothing else gets installed"
    beside = {name.partition(".data/data/")[2] for name in names if ".data/" in name}
    assert beside == {
        str(file.relative_to(CHECKOUT / "deploy")) for file in (CHECKOUT / "deploy/share").rglob("*") if file.is_file()
    }
    assert [name for name in names if "__pycache__" in name or name.endswith(".pyc")] == []


@pytest.mark.skipif(not shutil.which("man"), reason="man is not installed")
def test_man_finds_the_pages_beside_the_program_and_an_uninstall_leaves_none(installed: Path) -> None:
    environ = {"PATH": f"{installed / 'bin'}:{os.environ['PATH']}", "MANWIDTH": "100", "LC_ALL": "C.UTF-8"}
    for page in (("receiver",), ("receiver", "simulate"), ("receiver", "rejected", "list")):
        asked = ("man", "--warnings", "-".join(page))
        shown = subprocess.run(asked, env=environ, capture_output=True, text=True, check=True, timeout=60)
        assert shown.stderr == ""
        assert f"{'-'.join(page)} - " in shown.stdout
    (record,) = installed.glob("lib/python*/site-packages/delivery_report_receiver-*/RECORD")
    known = {line.partition(",")[0].rpartition("share/")[2] for line in record.read_text(encoding="utf-8").splitlines()}
    there = {str(file.relative_to(installed / "share")) for file in installed.glob("share/**/*") if file.is_file()}
    assert there <= known


async def test_the_installed_command_works_on_a_database_of_its_owners(empty_database, installed, tmp_path):
    """From the wheel's own files, with nothing of the checkout and without an extra."""
    python = (str(installed / "bin" / "python"),)
    where = "from receiver.store import schema; print(schema.folder()); print(schema.head())"
    folder, head = (await receiver("-c", where, folder=tmp_path, program=python)).out.splitlines()
    assert Path(folder).is_relative_to(installed)
    assert head == schema.head()

    program = (str(installed / "bin" / "receiver"),)
    migrated = await receiver("migrate", folder=tmp_path, program=program, database_url=empty_database)
    assert (migrated.code, migrated.err) == (0, ""), migrated
    async with connected(empty_database) as connection:
        assert await connection.fetchval("SELECT count(*) FROM sms.code") > 1_900
    assert (await receiver("explain", "E200027", folder=tmp_path, program=program)).code == 0
    simulate = ("simulate", "huawei", "--count", "3", "--url", "http://127.0.0.1:9")
    simulated = await receiver(*simulate, folder=tmp_path, program=program)
    assert "cannot be reached (Connection refused)" in simulated.complaint


async def test_without_an_extra_the_error_names_it(installed, tmp_path):
    program = (str(installed / "bin" / "receiver"),)
    served = await receiver("serve", folder=tmp_path, program=program, data_dir=tmp_path / "data", port=0, ops_port=0)
    assert "pip install 'delivery-report-receiver[embedded]'" in served.complaint
    keys = {"tencent_pull_secret_id": "id", "tencent_pull_secret_key": "key", "tencent_pull_sdk_app_id": "1"}
    pulled = await receiver("pull", "tencent", folder=tmp_path, program=program, **keys)
    assert "pip install 'delivery-report-receiver[tencent]'" in pulled.complaint
