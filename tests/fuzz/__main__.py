"""The command behind `make fuzz`.

    make fuzz SECONDS=300 SEED=1

Half of the time is for the adapters, the rest for a running service, with plain HTTP and with TLS. The exit code is 1
if anything is found: a fault in an adapter, a 5xx that is not "try again later", an answer that is not in the
platform's shape, a request that hangs, an end of the service, an error in its log, memory that grows.
"""

import argparse
import asyncio
import random
import sys
import tempfile
from collections import Counter
from pathlib import Path

import trustme
from click import echo
from support import process
from support.certificates import client, issue

from fuzz import parsers, service
from fuzz.inputs import Inputs
from receiver.telemetry import logs


async def _service(inputs: Inputs, seconds: float, folder: Path, *, tls: bool) -> list[str]:
    """What was found; the service has an embedded PostgreSQL."""
    settings, trust = {}, None
    if tls:
        authority = trustme.CA()
        pair = issue(authority, folder, "fuzz")
        settings, trust = {"tls_certificate": pair.certificate, "tls_key": pair.key}, client(authority)
    async with process.running(folder / ("tls" if tls else "plain"), **settings) as running:
        answers, found = await service.run(running, inputs, seconds, trust)
        if running.alive and (code := await running.terminate(60)):
            found.append(f"the service ended with {code}\n{running.tail()}")
    _tell("HTTPS" if tls else "HTTP", answers)
    return found


def _tell(title: str, answers: Counter[str]) -> None:
    echo(f"{title}: " + ", ".join(f"{name}: {count}" for name, count in sorted(answers.items())))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=None, help="the same seed makes the same inputs")
    options = parser.parse_args()
    seed = random.randrange(10**6) if options.seed is None else options.seed
    echo(f"{options.seconds:.0f} s of fuzzing, seed {seed}")
    logs.configure("json", "CRITICAL", stream=sys.stderr.buffer)
    inputs = Inputs(seed)
    tried, found = asyncio.run(parsers.run(inputs, options.seconds / 2))
    echo(f"adapters: {tried} bodies")
    with tempfile.TemporaryDirectory(prefix="receiver-fuzz-") as name:
        folder = Path(name).resolve()
        folder.chmod(0o711)  # as root, PostgreSQL runs as somebody else, who has to pass through
        for tls in (False, True):
            found += asyncio.run(_service(inputs, options.seconds / 4, folder, tls=tls))
    for line in found[:50]:
        echo(line)
    echo(f"found {len(found)}; repeat with SEED={seed}" if found else "found nothing")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
