"""The guide "Adding a provider" is true: a platform of just those files passes what follows from fixtures."""

import asyncio
import os
import shutil
import sys
from pathlib import Path

import pytest

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

OF_ALL_PLATFORMS = (
    "test_every_endpoint_has_one_template",
    "test_every_endpoint_has_a_good_fixture_and_a_bad_one",
    "test_every_body_among_the_fixtures_has_its_expectation",
    "test_every_platform_that_can_sign_has_genuine_requests_and_forged_ones",
    "test_every_provider_is_a_file_and_every_row_of_a_file_is_an_entry",
    "test_every_row_is_sound",
    "test_every_entry_is_found_under_its_own_code",
    "test_every_provider_has_answers_that_it_understands_refused_messages_and_answers_that_it_does_not",
    "test_nothing_but_what_belongs_to_a_provider_names_one",
    "test_more_requests_than_can_be_worked_on_are_told_to_come_again",
    "test_a_line_of_json_says_what_became_of_every_report_and_no_more",
    "test_it_counts_what_became_of_every_report",
    "test_a_running_service_has_the_windows_of_its_settings",
)
"""Tests that go through the platforms by themselves; all others that follow have the platform's name in theirs."""


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what is tested, with the platform in its place."""
    copy = tmp_path_factory.mktemp("example")
    for folder in ("receiver", "migrations", "tests", "docs", "deploy"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("example_provider"))
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


def test_the_example_is_made_of_the_files_that_the_guide_names() -> None:
    guide = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert {file.name for file in EXAMPLE.iterdir()} - {"__pycache__"} == OF_THE_GUIDE.keys()
    for place in OF_THE_GUIDE.values():
        if not place.startswith("tests/integration/"):
            assert f"`{place.replace(NAME, '<name>')}" in guide


async def test_the_suite_collects_another_platform_and_what_follows_from_its_fixtures_holds(tree: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", "-k", " or ".join((NAME, *OF_ALL_PLATFORMS))),
        "tests",
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said = (await process.communicate())[0].decode()
    assert process.returncode == 0, said[-20_000:]
    assert "SKIPPED" not in said
    assert [name for name in (f"[{NAME}/delivered] PASSED", *OF_ALL_PLATFORMS) if name not in said] == []
