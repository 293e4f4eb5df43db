"""The guide "Adding a provider" is true: a platform of just those files passes what follows from fixtures."""

import asyncio
import os
import shutil
import sys
from pathlib import Path

import pytest

from receiver.providers import PROVIDERS

ROOT = Path(__file__).parent.parent.parent
EXAMPLE = ROOT / "tests" / "example_provider"
NAME = "kestrel"
OF_THE_GUIDE = {
    f"{NAME}.py": f"receiver/providers/{NAME}.py",
    f"{NAME}.tsv": f"receiver/catalogue/{NAME}.tsv",
    "fixtures": f"tests/fixtures/{NAME}",
    "signatures": f"tests/fixtures/signatures/{NAME}",
    f"test_{NAME}.py": f"tests/integration/test_{NAME}.py",
}
LINES = {
    "from receiver.providers import ": f"from receiver.providers import {NAME}, ",
    "    tencent.PROVIDER,\n": f"    tencent.PROVIDER,\n    {NAME}.PROVIDER,\n",
}
"""The line in the tuple, and the import that it needs."""

FOLLOWS = {
    "unit/test_fixtures.py": "",
    "unit/test_signatures.py": "",
    "unit/test_catalogue.py": "",
    "unit/test_mending.py": "",
    "unit/test_payload_properties.py": "",
    "unit/test_submissions.py": "",
    "unit/test_exposure.py": "",
    "unit/test_house.py": "test_nothing_but_what_belongs_to_a_provider_names_one",
    "integration/test_fixtures_over_http.py": "test_every_fixture_is_answered_and_stored_as_it_says",
    "integration/test_http_contract.py": "",
    "integration/test_hostile_input.py": "",
    "integration/test_addresses.py": "test_each_platform_may_be_called_from_its_list_alone",
    "integration/test_tokens.py": "test_without_a_valid_token_there_is_nothing",
    "integration/test_limits.py": "test_more_requests_than_can_be_worked_on_are_told_to_come_again",
    "integration/test_log_lines.py": "test_a_line_of_json_says_what_became_of_every_report_and_no_more",
    "integration/test_ops_listener.py": "test_it_counts_what_became_of_every_report",
    "integration/test_overdue.py": "test_a_running_service_has_the_windows_of_its_settings",
    f"integration/test_{NAME}.py": "",
}
"""Files, or one test in them, that say something of every platform."""

OTHERS = " and ".join(f"not {provider.name}" for provider in PROVIDERS)
"""Cases of the platforms that the suite proper tries."""


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what is tested, with the platform in its place."""
    copy = tmp_path_factory.mktemp("example")
    for folder in ("receiver", "migrations", "tests", "docs", "deploy"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__", "example_provider"))
    for file in ("pyproject.toml", "README.md", "CONTRIBUTING.md", "CHANGELOG.md", "Makefile"):
        shutil.copy(ROOT / file, copy / file)
    for given, place in OF_THE_GUIDE.items():
        (shutil.copytree if (EXAMPLE / given).is_dir() else shutil.copy)(EXAMPLE / given, copy / place)
    platforms = copy / "receiver" / "providers" / "__init__.py"
    text = platforms.read_text(encoding="utf-8")
    for before, after in LINES.items():
        assert text.count(before) == 1
        text = text.replace(before, after)
    platforms.write_text(text, encoding="utf-8")
    return copy


async def run_pytest(tree: Path, *arguments: str) -> str:
    """What pytest says in the copy, once it has ended well."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments),
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()[-20_000:]
    return said.decode()


def test_the_example_is_made_of_the_files_that_the_guide_names() -> None:
    guide = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert {file.name for file in EXAMPLE.iterdir()} - {"__pycache__"} == OF_THE_GUIDE.keys()
    for place in OF_THE_GUIDE.values():
        if not place.startswith("tests/integration/"):
            assert f"`{place.replace(NAME, '<name>')}" in guide


async def test_the_whole_suite_can_be_collected_with_another_platform(tree: Path) -> None:
    said = await run_pytest(tree, "--collect-only", "tests")
    assert f"[{NAME}/delivered]" in said


async def test_what_follows_from_fixtures_holds_for_another_platform(tree: Path) -> None:
    wanted = [f"tests/{file}{'::' if test else ''}{test}" for file, test in FOLLOWS.items()]
    said = await run_pytest(tree, "-k", OTHERS, *wanted)
    assert " passed" in said
    assert "skipped" not in said
