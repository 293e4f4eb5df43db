"""nginx with deploy/nginx/receiver.conf: the file as it is shipped, but for addresses, certificates and log files."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from support.cluster import free_port
from support.command import CHECKOUT
from support.front import Front, Place, adapted, check, make_certificates, started

PACKAGES: Final = ("nginx", "libpcre2-8-0", "libssl3", "zlib1g", "libcrypt1")

_SHIPPED: Final = CHECKOUT / "deploy" / "nginx" / "receiver.conf"
_UPSTREAM: Final = "    server 127.0.0.1:{port} max_fails=0;\n"
_SHIPPED_PORTS: Final = (8091, 8092, 8093)
_MAIN: Final = """
daemon off;
worker_processes 1;
user root;
pid {folder}/nginx.pid;
error_log {folder}/main.log;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/receiver.conf;
}}
"""


@contextmanager
def running(command: list[str], folder: Path, places: Sequence[Place]) -> Iterator[Front]:
    """nginx before receivers; `command` is how to call it."""
    folder.mkdir()
    front = Front(free_port(), folder, "receiver.access.log")
    make_certificates(folder)
    given = [place.port for place in places]
    shipped, servers = ("".join(_UPSTREAM.format(port=one) for one in ports) for ports in (_SHIPPED_PORTS, given))
    changes = {
        shipped: servers,
        "listen 443 ssl;": f"listen 127.0.0.1:{front.port} ssl;",
        "    listen [::]:443 ssl;\n": "",
        "/etc/receiver/tls/": f"{folder}/",
        "/var/log/nginx/": f"{folder}/",
    }
    (folder / "receiver.conf").write_text(adapted(_SHIPPED, changes), encoding="utf-8")
    (folder / "nginx.conf").write_text(_MAIN.format(folder=folder), encoding="utf-8")
    call = [*command, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(folder / "main.log")]
    check([*call, "-t"], "[warn]")
    with started(call, front, "printed.log"):
        yield front
