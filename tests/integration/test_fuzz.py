"""A few seconds of `make fuzz`, with a seed of its own so that a failure repeats."""

from collections.abc import Callable
from pathlib import Path

import pytest
import trustme
from fuzz import parsers, service
from fuzz.inputs import Inputs
from support import process
from support.certificates import client, issue

SEED = 20_261_120
SECONDS = 1.5


async def test_no_mutated_payload_surprises_an_adapter() -> None:
    tried, found = await parsers.run(Inputs(SEED), SECONDS)
    assert found == []
    assert tried


@pytest.mark.parametrize("tls", [False, True], ids=["HTTP", "HTTPS"])
async def test_no_bytes_surprise_a_service(database: str, tmp_path: Path, *, tls: bool) -> None:
    authority = trustme.CA()
    pair = issue(authority, tmp_path, "server")
    files = {"tls_certificate": pair.certificate, "tls_key": pair.key} if tls else {}
    async with process.running(tmp_path / "service", database_url=database, **files) as running:
        answers, found = await service.run(running, Inputs(SEED), SECONDS, client(authority) if tls else None)
        assert found == []
        assert await running.terminate() == 0, running.tail()
    for part in ("callbacks", "submissions", "bytes", "ops bytes"):
        assert [name for name in answers if name.startswith(part)]


def test_a_seed_makes_the_same_inputs_again() -> None:
    def bodies(make: Callable[[], Inputs]) -> list[bytes]:
        inputs = make()
        return [inputs.raw(inputs.dice("bytes", number), ["huawei/report"]) for number in range(50)]

    assert bodies(lambda: Inputs(1)) == bodies(lambda: Inputs(1)) != bodies(lambda: Inputs(2))
