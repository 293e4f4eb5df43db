"""Other versions of the service than this checkout's: the one before a migration, and one that is still to come."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from receiver.store import schema
from support.command import CHECKOUT

_PARTS: Final = ("receiver", "migrations")
_TIMEOUT_S: Final = 60
_MIGRATION: Final = '''
"""To come."""

from receiver.store.schema import run_script

revision, down_revision, compatible_from = {revision!r}, {before!r}, {compatible_from!r}


def upgrade() -> None:
    run_script("{revision}/script.sql")
'''


class Migration(NamedTuple):
    """A migration to come: its SQL, and the oldest revision whose versions may run on; itself where None."""

    sql: str
    compatible_from: str | None = None


def following(revision: str) -> str:
    """The revision after this one."""
    return f"{int(revision) + 1:04}"


def before(migration: str, folder: Path) -> Path:
    """The code of the commit before a migration (`0002_days`) was added. Skips where there is no such history."""
    added = _git("log", "--diff-filter=A", "--format=%H", "--", f"migrations/versions/{migration}.py").split()
    if not added or not _git("rev-parse", "--verify", "--quiet", f"{added[-1]}^"):
        pytest.skip(f"the history of this checkout does not reach back before {migration}")
    archive = folder.with_suffix(".tar")
    folder.mkdir(parents=True)
    _git("archive", f"--output={archive}", f"{added[-1]}^", *_PARTS)
    subprocess.run(["tar", "-xf", archive, "-C", folder], check=True, timeout=_TIMEOUT_S)
    return folder


def after(folder: Path, migrations: Sequence[Migration]) -> Path:
    """This checkout's code, with these migrations more."""
    for part in _PARTS:
        shutil.copytree(CHECKOUT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    revision = schema.head()
    for migration in migrations:
        last, revision = revision, following(revision)
        text = _MIGRATION.format(revision=revision, before=last, compatible_from=migration.compatible_from or revision)
        (folder / "migrations" / "versions" / f"{revision}_to_come.py").write_text(text, encoding="utf-8")
        script = folder / "migrations" / "sql" / revision / "script.sql"
        script.parent.mkdir()
        script.write_text(migration.sql, encoding="utf-8")
    return folder


def _git(*arguments: str) -> str:
    """What git prints; empty where there is no git, no repository, or no such thing in it."""
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=CHECKOUT, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )
    except FileNotFoundError:
        return ""
    return done.stdout if done.returncode == 0 else ""
