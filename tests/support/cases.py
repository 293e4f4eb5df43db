"""The fixtures: whole payloads as files, and what must come of each (tests/fixtures/README.md)."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
    def headers(self) -> dict[str, str]:
        content_type = self.expected["content_type"]
        return {} if content_type is None else {"Content-Type": content_type}


def case(name: str) -> Case:
    """The case of that name: `huawei/single-vendor-sample`."""
    file = FOLDER / f"{name}.json"
    return Case(name, file.with_suffix(".body").read_bytes(), json.loads(file.read_text(encoding="utf-8")))


def cases() -> list[Case]:
    return [case(f"{file.parent.name}/{file.stem}") for file in sorted(FOLDER.glob("*/*.json"))]
