"""The house's rules that no linter knows."""

import ast
import re
import subprocess
from pathlib import Path

from support.cases import FOLDER

from receiver import catalogue
from receiver.providers import ENDPOINTS, PROVIDERS

ROOT = Path(__file__).parent.parent.parent
PLACES_OF_PROVIDERS = (
    "receiver/providers/",
    "receiver/catalogue/",
    "receiver/pull/sources/",
    "receiver/simulate/dialects/",
)
"""The last two for what is a provider's own and does I/O or makes up traffic, which the adapters must not."""

MAX_LINES = 300
MAX_FUNCTION_LINES = 60
TABLES = {"receiver/telemetry/metrics.py build", "receiver/report.py delivery_report"}
"""Functions that are a table in truth."""

NAMES = re.compile(rf"\b({'|'.join(provider.name for provider in PROVIDERS)})\b", re.IGNORECASE)
PROVIDER_WORDS = {
    # `huawei` is a value of `reported_by`, as `platform` and `smsc` are.
    "receiver/report.py": 2,
    "migrations/sql/0001/views.sql": 2,
}
"""Files of the schema in which a provider's name may stand, and how often."""

REGISTRIES = re.compile(
    r"(?i)https?://[\w.:@-]*(?:pypi|artifactory|nexus|jfrog|devpi|mirror|index|registry|packages?)[\w.-]*[/:]"
    r"|--(?:extra-)?index-url|--trusted-host|--find-links"
)
MACHINE_PATHS = re.compile(
    r"(?<![\w.$}~/-])/(?:work|home/(?!ann\b)\w+|root|Users/\w+|private|mnt|workspace)(?:/|\b(?![\w-]))"
)
SAY_SO = {"Makefile", str(Path(__file__).relative_to(ROOT))}
"""`make lock` forbids the lock files to name an index."""


LEFT_OUT = {".venv", ".matrix"}
FOLDERS = {"receiver", "migrations", "tests", "deploy", "docs"}
TOP = FOLDERS | {"pyproject.toml", "Makefile", "LICENSE", "README.md", "CHANGELOG.md", "CONTRIBUTING.md"}
GENERATED = "migrations/schema.sql"


def tracked() -> list[str]:
    """Every file of the repository; of an unpacked archive, everything that is in it."""
    git = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if git.returncode:
        return [
            str(file.relative_to(ROOT)) for file in ROOT.rglob("*") if file.is_file() and not LEFT_OUT & {*file.parts}
        ]
    return [name for name in git.stdout.splitlines() if (ROOT / name).is_file()]


def sources(*folders: str) -> dict[str, str]:
    """The code in these folders: each file's text."""
    names = [name for name in tracked() if name.startswith(folders) and name.endswith((".py", ".sql"))]
    names = [name for name in names if name != GENERATED]
    return {name: text(name) for name in names}


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8", errors="replace")


def test_nothing_new_stands_at_the_top() -> None:
    assert {name.split("/")[0] for name in tracked() if not name.startswith(".")} <= TOP


def test_every_provider_has_a_file_a_table_of_codes_and_fixtures() -> None:
    for provider in PROVIDERS:
        assert (ROOT / f"receiver/providers/{provider.name}.py").is_file()
        assert (ROOT / f"receiver/catalogue/{provider.name}.tsv").is_file()
        assert [row for row in catalogue.entries() if row.provider == provider.name]
        assert list((FOLDER / provider.name).glob("*.json"))
        assert [endpoint for endpoint in provider.endpoints if ENDPOINTS[endpoint.path] is endpoint]


def test_nothing_but_what_belongs_to_a_provider_names_one() -> None:
    said = {
        name: len([line for line in code.splitlines() if NAMES.search(line)])
        for name, code in sources("receiver/", "migrations/").items()
        if not name.startswith(PLACES_OF_PROVIDERS)
    }
    assert {name: lines for name, lines in said.items() if lines > PROVIDER_WORDS.get(name, 0)} == {}


def test_a_file_is_a_small_room() -> None:
    lines = {name: len(code.splitlines()) for name, code in sources("receiver/", "migrations/", "tests/").items()}
    assert {name: number for name, number in lines.items() if number > MAX_LINES} == {}


def test_a_function_reads_without_scrolling() -> None:
    offenders = [
        f"{name} {node.name}"
        for name, code in sources("receiver/", "tests/").items()
        if name.endswith(".py")
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno >= MAX_FUNCTION_LINES
    ]
    assert set(offenders) - TABLES == set()


def test_no_file_names_a_registry_or_a_path_of_somebodys_machine() -> None:
    found = [
        f"{name}: {match[0]}"
        for name in tracked()
        if name not in SAY_SO
        for pattern in (REGISTRIES, MACHINE_PATHS)
        for match in pattern.finditer(text(name))
    ]
    assert found == []
