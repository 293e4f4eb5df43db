"""Debian's PostgreSQL: installed, or unpacked from its packages."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from support.debian import LIBRARIES, NotAvailableError, unpacked
from support.postgresql import VARIABLE

VERSION: Final = "15"
"""The oldest that we claim; the embedded one is the newest."""

_BIN: Final = Path("usr/lib/postgresql") / VERSION / "bin"
_PACKAGES: Final = (f"postgresql-{VERSION}", "libpq5", "libicu72", "libldap-2.5-0", "libxml2", "libxslt1.1")


@contextmanager
def environment() -> Iterator[dict[str, str]]:
    """The variables with which the tests take this PostgreSQL. Raises NotAvailableError."""
    if (Path("/") / _BIN / "postgres").exists():
        yield {VARIABLE: str(Path("/") / _BIN)}
        return
    source = unpacked("postgres", _PACKAGES)
    if not (source / _BIN / "postgres").exists():
        raise NotAvailableError(f"{_PACKAGES[0]} has no {_BIN}/postgres")
    # Away from the checkout: whom root runs PostgreSQL as may not enter it.
    with tempfile.TemporaryDirectory(prefix="receiver-postgresql-") as folder:
        Path(folder).chmod(0o755)
        copy = Path(shutil.copytree(source, Path(folder) / "root", symlinks=True))
        libraries = ":".join(str(path) for place in LIBRARIES for path in copy.glob(place))
        yield {VARIABLE: str(copy / _BIN), "LD_LIBRARY_PATH": f"{libraries}:{os.environ.get('LD_LIBRARY_PATH', '')}"}
