"""The house's rules that no linter knows (design, sections 8 and 9)."""

import re
import subprocess
from pathlib import Path

import pytest
from support.cases import FOLDER, cases

from receiver import catalogue
from receiver.providers import ENDPOINTS, PROVIDERS

ROOT = Path(__file__).parent.parent.parent
PLACES_OF_PROVIDERS = (
    "receiver/providers/",
    "receiver/catalogue/",
    "receiver/pull/sources/",
    "receiver/simulate/dialects/",
)
"""The last two for the parts of a provider that do I/O or are test equipment, which the adapters must not."""

MAX_LINES = 300
NAMES = re.compile(rf"\b({'|'.join(provider.name for provider in PROVIDERS)})\b", re.IGNORECASE)
PROVIDER_WORDS = {
    # `huawei` is a value of `reported_by`, as `platform` and `smsc` are (design, section 4).
    "receiver/report.py": 2,
    "migrations/sql/0001_views.sql": 2,
}
"""Files of the schema in which a provider's name may stand, and how often."""

REGISTRIES = re.compile(
    r"(?i)https?://[\w.:@-]*(?:pypi|artifactory|nexus|jfrog|devpi|mirror|index|registry|packages?)[\w.-]*[/:]"
    r"|--(?:extra-)?index-url|--trusted-host|--find-links"
)
MACHINE_PATHS = re.compile(
    r"(?<![\w.$}~/-])/(?:work|home/(?!ann\b)\w+|root|Users/\w+|private|mnt|workspace)(?:/|\b(?![\w-]))"
)
SAY_SO = {"Makefile"}
"""`make lock` forbids the lock files to name an index."""


def tracked() -> list[str]:
    """Every file of the repository; of an unpacked archive, everything that is in it."""
    git = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if git.returncode:
        return [str(file.relative_to(ROOT)) for file in ROOT.rglob("*") if file.is_file() and ".venv" not in file.parts]
    return [name for name in git.stdout.splitlines() if (ROOT / name).is_file()]


def sources(*folders: str) -> list[str]:
    return [name for name in tracked() if name.startswith(folders) and name.endswith((".py", ".sql"))]


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8", errors="replace")


def test_every_provider_has_a_file_a_table_of_codes_and_fixtures() -> None:
    for provider in PROVIDERS:
        assert (ROOT / f"receiver/providers/{provider.name}.py").is_file()
        assert (ROOT / f"receiver/catalogue/{provider.name}.tsv").is_file()
        assert [row for row in catalogue.entries() if row.provider == provider.name]
        assert list((FOLDER / provider.name).glob("*.json"))
        assert [endpoint for endpoint in provider.endpoints if ENDPOINTS[endpoint.path] is endpoint]


def test_every_endpoint_has_a_good_fixture_and_a_bad_one() -> None:
    statuses = {(case.expected["endpoint"], case.expected["http_status"]) for case in cases()}
    assert statuses == {(path, status) for path in ENDPOINTS for status in (200, 400)}


def test_every_body_among_the_fixtures_has_its_expectation() -> None:
    for provider in PROVIDERS:
        bodies = {file.stem for file in (FOLDER / provider.name).glob("*.body")}
        assert bodies == {file.stem for file in (FOLDER / provider.name).glob("*.json")}


@pytest.mark.parametrize(
    "name", [name for name in sources("receiver/", "migrations/") if not name.startswith(PLACES_OF_PROVIDERS)]
)
def test_nothing_but_the_providers_and_the_catalogue_names_a_provider(name: str) -> None:
    assert len([line for line in text(name).splitlines() if NAMES.search(line)]) <= PROVIDER_WORDS.get(name, 0)


@pytest.mark.parametrize("name", sources("receiver/", "migrations/", "tests/"))
def test_a_file_is_a_small_room(name: str) -> None:
    assert len(text(name).splitlines()) <= MAX_LINES


def test_no_file_names_a_registry_or_a_path_of_somebodys_machine() -> None:
    found = [
        f"{name}: {match[0]}"
        for name in tracked()
        if name not in SAY_SO and not name.endswith(Path(__file__).name)
        for pattern in (REGISTRIES, MACHINE_PATHS)
        for match in pattern.finditer(text(name))
    ]
    assert found == []
