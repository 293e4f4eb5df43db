"""The fixtures: whole payloads as files, and what must come of each (tests/fixtures/README.md)."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from receiver.providers import ENDPOINTS

FOLDER = Path(__file__).parent.parent / "fixtures"


@dataclass(frozen=True)
class Case:
    name: str
    body: bytes
    expected: dict[str, Any]

    @property
    def path(self) -> str:
        return f"/callback/{self.expected['endpoint']}"

    @property
    def query(self) -> str:
        return str(self.expected.get("query", ""))

    @property
    def url(self) -> str:
        """What a platform's console is given, with what the sender has added to it."""
        return f"{self.path}?{self.query}" if self.query else self.path

    @property
    def kept_path(self) -> str:
        """As rejected payloads name it: with the query where the endpoint reads it."""
        return self.url if ENDPOINTS[self.expected["endpoint"]].reads_query else self.path

    def assert_answered(self, answer: Any) -> None:
        """It is the text, or has the members, that the fixture names."""
        wanted = self.expected["answer"]
        assert (answer if isinstance(wanted, str) else {name: answer.get(name) for name in wanted}) == wanted

    @property
    def headers(self) -> dict[str, str]:
        content_type = self.expected["content_type"]
        return {} if content_type is None else {"Content-Type": content_type}


def case(name: str) -> Case:
    """The case of that name: `huawei/single-vendor-sample`."""
    file = FOLDER / f"{name}.json"
    return Case(name, file.with_suffix(".body").read_bytes(), json.loads(file.read_text(encoding="utf-8")))


def cases() -> list[Case]:
    return [case(f"{file.parent.name}/{file.stem}") for file in sorted(FOLDER.glob("*/*.json"))]
