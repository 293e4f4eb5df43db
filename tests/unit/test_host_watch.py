"""What the service says of the second machine, and when."""

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from receiver.store import host_watch
from receiver.store.host_watch import HostWatch
from receiver.store.timelines import Timelines

LOST, FOUND = "database.sync_replica_lost", "database.sync_replica_found"


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        ([True, None, False], [LOST]),  # a failover: no primary for a while, and then one alone
        ([True, None, True], []),
        ([False, None, True], [FOUND]),
        ([None, False, False], []),  # it never had one
    ],
)
def test_a_second_machine_that_is_lost_with_the_primary_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seen: list[bool | None], said: list[str]
) -> None:
    watch = HostWatch("postgresql://a,b/sms", Timelines(), tmp_path, looks=False)
    with capture_logs() as logs:
        monkeypatch.setattr(host_watch, "log", host_watch.get_logger())
        for one in seen:
            watch._tell([None, one])
    assert [line["event"] for line in logs] == said
    assert watch.replicated is seen[-1]
