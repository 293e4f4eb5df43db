"""HAProxy with deploy/haproxy/haproxy.cfg: the file as it is shipped, but for addresses, files and account."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from support.cluster import free_port
from support.command import CHECKOUT
from support.front import Front, Place, adapted, check, make_certificates, started

PACKAGES: Final = ("haproxy", "liblua5.3-0", "libopentracing1", "libopentracing-c-wrapper0")

_SHIPPED: Final = CHECKOUT / "deploy" / "haproxy" / "haproxy.cfg"
_NAMES: Final = ("one", "two", "three")
_LOG: Final = "printed.log"


@contextmanager
def running(command: list[str], folder: Path, places: Sequence[Place]) -> Iterator[Front]:
    """HAProxy before three receivers; `command` is how to call it."""
    folder.mkdir()
    front = Front(free_port(), folder, _LOG)
    make_certificates(folder)
    together = folder / "together"
    together.mkdir()
    for kind in ("rsa", "ecdsa"):
        both = "".join((folder / f"{kind}.{part}").read_text() for part in ("pem", "key"))
        (together / f"{kind}.pem").write_text(both, encoding="ascii")
    changes = {
        "log /dev/log local0": "log stdout format raw local0",
        "    user haproxy\n    group haproxy\n": "",
        "/run/haproxy/": f"{folder}/",
        "bind :443 ": f"bind 127.0.0.1:{front.port} ",
        "    bind :::443 v6only ssl crt /etc/haproxy/receiver/ alpn http/1.1\n": "",
        "/etc/haproxy/receiver/": f"{together}/",
        "check port 8081 ": "",
        "127.0.0.1:8404": f"127.0.0.1:{free_port()}",
    }
    for number, (name, place) in enumerate(zip(_NAMES, places, strict=True), start=11):
        server = f"server {name} 127.0.0.1:{place.port} check port {place.ops_port}"
        changes[f"server {name} 10.0.0.{number}:8080"] = server
    file = folder / "haproxy.cfg"
    file.write_text(adapted(_SHIPPED, changes), encoding="utf-8")
    call = [*command, "-f", str(file)]
    check([*call, "-c"], "[WARNING]")
    with started(call, front, _LOG):
        yield front
