"""State changes for a service manager, by sd_notify(3): `systemctl restart` returns once the new process listens."""

import os
import socket
from contextlib import suppress
from typing import Final, Literal

_VARIABLE: Final = "NOTIFY_SOCKET"
_TIMEOUT_S: Final = 1.0


def notify(state: Literal["READY=1", "STOPPING=1"]) -> None:
    """Notify the service manager, if there is one. A failure to do so is ignored."""
    address = os.environ.get(_VARIABLE, "")
    if not address.startswith(("/", "@")):
        return
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.settimeout(_TIMEOUT_S)
        # An `@` stands for the byte 0 of an abstract address.
        channel.sendto(state.encode(), address.replace("@", "\0", 1) if address.startswith("@") else address)
