"""PostgreSQL machines under Patroni: deploy/patroni/patroni.yml as it is shipped, but for addresses and folders."""

import asyncio
import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from subprocess import Popen
from typing import Any, Final

import aiohttp
import psutil

from receiver.embedded.account import Account, make_private, spawn
from receiver.embedded.layout import SUPERUSER
from receiver.embedded.log import open_log
from receiver.embedded.processes import processes_of
from support import tools
from support.cluster import APPLICATION
from support.command import CHECKOUT
from support.databases import administrate, fill_template
from support.debian import NotAvailableError
from support.etcd import Etcd
from support.netns import Network
from support.waiting import eventually

SCOPE: Final = "sms"
_SHIPPED: Final = CHECKOUT / "deploy" / "patroni" / "patroni.yml"
_PASSWORD: Final = "secret"
_ROLES: Final = "IN ROLE sms_writer, pg_read_all_stats"
_TEMPLATE: Final = "template_patroni"
_HEALTHY_S: Final = 120.0
_PATIENCE: Final = aiohttp.ClientTimeout(total=1)
_PARAMETERS: Final = """  pgpass: {folder}/run/pgpass
  parameters:
    unix_socket_directories: {folder}/run
    shared_buffers: 32MB
"""
_EVERYWHERE: Final = """
        max_connections: 40
        track_commit_timestamp: on
"""


def command(account: Account) -> list[str | Path]:
    """How to call Patroni, of the tools' environment, so that it becomes that account. Raises NotAvailableError."""
    try:
        (site,) = tools.installed().glob("lib/python*/site-packages")
    except (subprocess.SubprocessError, OSError) as error:
        raise NotAvailableError(f"Patroni is needed, and not to be had here: {error}") from error
    python = Path(sys.executable).resolve()
    run = ["/usr/bin/env", f"PYTHONPATH={site}", python, "-m", "patroni"]
    if not account.drop:
        return run
    # Root's own Python may lie where nobody else may look: of root's rights, Patroni keeps the one to read it.
    rights = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search", "--pdeathsig=INT"]
    become = ["setpriv", f"--reuid={account.uid}", f"--regid={account.gid}", "--clear-groups", *rights]
    tried = subprocess.run([*become, python, "--version"], capture_output=True, text=True, timeout=30, check=False)
    if tried.returncode:
        raise NotAvailableError(f"Patroni cannot run as another account than root here: {tried.stderr.strip()}")
    return [*become, *run]


class Node:
    """A machine: its Patroni, and the PostgreSQL that this starts."""

    def __init__(self, name: str, address: str, ports: tuple[int, int], folder: Path, network: Network | None) -> None:
        self.name, self.address, (self.port, self.api) = name, address, ports
        self.folder, self.pgdata, self.config = folder, folder / "data", folder / "patroni.yml"
        self._network = network
        self._patroni: Popen[bytes] | None = None

    def start(self, command: Sequence[str | Path], account: Account) -> None:
        """As its supervisor does, at the machine's start or after the end of Patroni."""
        with self.here(), open_log(self.folder / "patroni.log") as output:
            self._patroni = spawn([*command, self.config], account._replace(drop=False), output)

    @contextmanager
    def here(self) -> Iterator[None]:
        with self._network.at(self.name) if self._network else nullcontext():
            yield

    def url(self, database: str, user: str) -> str:
        """Of this machine alone."""
        return f"postgresql://{user}:{_PASSWORD}@{self.address}:{self.port}/{database}"

    @property
    def alive(self) -> bool:
        """Whether its Patroni runs."""
        return self._patroni is not None and self._patroni.poll() is None

    def kill_patroni(self) -> None:
        """kill -9, of Patroni alone: its PostgreSQL goes on."""
        if self._patroni is not None:
            self._patroni.kill()
            self._patroni.wait()

    def kill_postgresql(self) -> None:
        """kill -9 of the postmaster and of all its processes."""
        for process in sorted(processes_of(self.pgdata), key=lambda one: one.pid):
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGKILL)

    def kill(self) -> None:
        """kill -9 of everything."""
        self.kill_patroni()
        self.kill_postgresql()

    def log(self) -> str:
        return "".join(file.read_text(errors="replace")[-4000:] for file in sorted(self.folder.glob("*.log")))


class Patroni:
    """The machines, and the questions and orders of an operator."""

    def __init__(self, nodes: Sequence[Node], etcd: Etcd, account: Account, network: Network | None) -> None:
        self.nodes = {node.name: node for node in nodes}
        self.etcd, self.network = etcd, network
        self._account = account
        self._command: list[str | Path] = []
        self._databases = 0

    async def start(self, command: Sequence[str | Path], binaries: Path) -> None:
        """Make the cluster: the first machine by initdb, the others from it."""
        self._command = list(command)
        await self.start_etcd()
        for node in self.nodes.values():
            make_private(node.folder, self._account)
            make_private(node.folder / "run", self._account)
            node.config.write_text(_adapted(node, self.etcd, binaries), encoding="utf-8")
            node.config.chmod(0o644)
        tools.check("patroni", "--validate-config", next(iter(self.nodes.values())).config)
        for node in self.nodes.values():
            self.restart(node)
        await self.healthy()
        url = self.url("postgres", SUPERUSER)
        await administrate(url, f"CREATE DATABASE {_TEMPLATE}")
        await fill_template(self.url(_TEMPLATE, SUPERUSER))
        await administrate(url, f"CREATE ROLE {APPLICATION} LOGIN PASSWORD '{_PASSWORD}' {_ROLES}")

    async def start_etcd(self) -> None:
        await self.etcd.start(self.network.at("etcd1") if self.network else nullcontext())

    def restart(self, node: Node) -> None:
        """Start Patroni on it, as systemd does."""
        node.start(self._command, self._account)

    def lose(self, node: Node) -> None:
        """As by a cut of its power: everything is gone, and where there is a network, its address is silent."""
        if self.network:
            self.network.power(node.name, on=False)
        node.kill()

    def bring_back_all(self) -> None:
        """Machines that were lost are started again, and Patroni with them."""
        for node in self.nodes.values():
            if not node.alive:
                if self.network:
                    self.network.power(node.name, on=True)
                self.restart(node)

    def kill(self) -> None:
        for node in self.nodes.values():
            node.kill()
        self.etcd.kill()

    def url(self, database: str, user: str = APPLICATION) -> str:
        """It names all machines, and leaves it to the client which is the primary."""
        hosts = ",".join(f"{node.address}:{node.port}" for node in self.nodes.values())
        return f"postgresql://{user}:{_PASSWORD}@{hosts}/{database}?target_session_attrs=read-write"

    async def new_database(self) -> str:
        """A migrated database with the code tables."""
        self._databases += 1
        name = f"patroni_{self._databases}"
        leader = await self.leader()  # by name: an old primary may still take writes, and be the first in the URL
        await administrate(leader.url("postgres", SUPERUSER), f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE}")
        return name

    def order(self, command: str, *options: str) -> str:
        """What patronictl says to that."""
        config = next(iter(self.nodes.values())).config
        return tools.check("patronictl", "-c", config, command, *options)

    def configure(self, **settings: object) -> None:
        """Change the configuration that all share."""
        pairs = [part for name, value in settings.items() for part in ("-s", f"{name}={json.dumps(value)}")]
        self.order("edit-config", "--force", "--quiet", *pairs)

    async def members(self, apart: Node | None = None) -> dict[str, dict[str, Any]]:
        """By name, as the first machine that answers has them, that one apart."""
        async with aiohttp.ClientSession(timeout=_PATIENCE) as client:
            for node in (node for node in self.nodes.values() if node is not apart):
                with suppress(aiohttp.ClientError, TimeoutError):
                    async with client.get(f"http://{node.address}:{node.api}/cluster") as response:
                        return {one["name"]: one for one in (await response.json())["members"]}
        return {}

    async def leader(self) -> Node:
        """The one that holds the key in etcd, as the others see it."""
        found: list[Node] = []

        async def is_known() -> bool:
            found[:] = await self.with_role("leader")
            return len(found) == 1

        await eventually(is_known, _HEALTHY_S)
        return found[0]

    async def another_leads(self, than: Node) -> None:
        """Wait until another machine than that one is the primary."""

        async def changed() -> bool:
            found = [name for name, one in (await self.members(than)).items() if _leads(one)]
            return bool(found) and than.name not in found

        await eventually(changed, _HEALTHY_S)

    async def with_role(self, role: str) -> list[Node]:
        """Of these: leader, sync_standby, replica."""
        return [self.nodes[name] for name, one in (await self.members()).items() if one["role"] == role]

    async def healthy(self, standbys: int = 1) -> None:
        """Wait until there is a primary, with so many standbys that follow it, of which one is synchronous.

        Others may be on their way back.
        """
        told: list[dict[str, Any]] = []
        try:
            async with asyncio.timeout(_HEALTHY_S):
                while not _whole(told, standbys):
                    await asyncio.sleep(0.2)
                    told = [await _told(node) for node in self.nodes.values()]
        except TimeoutError:
            logs = "\n".join(node.log() for node in self.nodes.values())
            raise AssertionError(f"{told}\n{logs}") from None


async def _told(node: Node) -> dict[str, Any]:
    """What the machine's Patroni says of itself."""
    with suppress(aiohttp.ClientError, TimeoutError):
        async with (
            aiohttp.ClientSession(timeout=_PATIENCE) as client,
            client.get(f"http://{node.address}:{node.api}/patroni") as response,
        ):
            answer: dict[str, Any] = await response.json()
            return answer
    return {}


def _whole(told: Sequence[Mapping[str, Any]], wanted: int) -> bool:
    standbys = [one for one in told if one.get("replication_state") == "streaming"]
    primaries = [one for one in told if one.get("role") == "primary" and one["state"] == "running"]
    return len(primaries) == 1 and len(standbys) >= wanted and any(one.get("sync_standby") for one in standbys)


def _leads(member: Mapping[str, Any]) -> bool:
    return bool(member["role"] == "leader" and member["state"] == "running")


def _adapted(node: Node, etcd: Etcd, binaries: Path) -> str:
    text = _SHIPPED.read_text(encoding="utf-8")
    extra = _PARAMETERS.format(folder=node.folder)
    for old, new in {
        "name: db1": f"name: {node.name}",
        "10.0.0.11:8008": f"{node.address}:{node.api}",
        "10.0.0.11:5432": f"{node.address}:{node.port}",
        "[10.0.0.11:2379, 10.0.0.12:2379, 10.0.0.13:2379]": f"['{etcd.client}']",
        "/var/lib/postgresql/sms": str(node.pgdata),
        "/usr/lib/postgresql/18/bin": str(binaries),
        "        max_wal_size: 4GB\n": f"        max_wal_size: 4GB{_EVERYWHERE}",
        "- data-checksums": "- data-checksums\n    - no-sync",
        "  pg_hba:": f"{extra}  pg_hba:",
        "10.0.0.0/24 scram-sha-256": "0.0.0.0/0 scram-sha-256",
        "CHANGE-ME": _PASSWORD,
        "mode: automatic": "mode: off",
    }.items():
        assert old in text, f"the test replaces {old!r}, which is no longer there"
        text = text.replace(old, new)
    assert not re.search(r"\b10\.0\.0\.", text)
    return text
