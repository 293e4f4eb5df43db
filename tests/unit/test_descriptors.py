"""As many connections as the process may have descriptors for: each case in a process of its own."""

import json
import subprocess
import sys

import pytest

ASK = """
import json, resource, sys
from receiver.server.descriptors import raise_nofile_limit
resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[1]), int(sys.argv[2])))
room = raise_nofile_limit(int(sys.argv[3]))
print(json.dumps([room, resource.getrlimit(resource.RLIMIT_NOFILE)[0]]))
"""


@pytest.mark.parametrize(
    ("soft", "hard", "asked", "room", "soft_after"),
    [
        (2_000, 2_000, 800, 800, 2_000),
        (256, 2_000, 800, 800, 1_412),
        (256, 1_412, 4_096, 800, 1_412),
        (256, 256, 4_096, 113, 256),
    ],
    ids=["there is room", "room can be made", "some room can be made", "there is hardly any"],
)
def test_the_limit_is_raised_as_far_as_it_goes(soft: int, hard: int, asked: int, room: int, soft_after: int) -> None:
    numbers = [str(number) for number in (soft, hard, asked)]
    said = subprocess.run([sys.executable, "-c", ASK, *numbers], capture_output=True, text=True, check=True).stdout
    *warnings, answer = said.splitlines()
    assert json.loads(answer) == [room, soft_after]
    assert any("connections.limited" in line for line in warnings) == (room < asked)
