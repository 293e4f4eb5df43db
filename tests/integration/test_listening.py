"""What the log says of the listeners' addresses, and what is said where there can be no listener."""

import socket
from collections.abc import Callable
from pathlib import Path

from support import command
from support import service as services
from support.capture import captured_log

from receiver.settings import Settings


async def test_the_log_tells_what_is_bound_and_not_only_a_url_that_one_can_type(
    make_settings: Callable[..., Settings],
) -> None:
    with captured_log(level="INFO") as log:
        async with services.running(make_settings(host="0.0.0.0")) as service:
            port = service.url.rpartition(":")[2]
    assert {line["bound"] for line in log.events("callback.listening")} == {f"0.0.0.0:{port}"}
    assert all(line["url"].startswith(f"http://127.0.0.1:{port}/") for line in log.events("callback.listening"))
    (line,) = log.events("ops.listening")
    assert line["url"] == f"http://{line['bound']}"


async def test_a_listener_that_takes_a_strangers_word_is_told_of_once(make_settings: Callable[..., Settings]) -> None:
    with captured_log(level="INFO") as log:
        async with services.running(make_settings(host="127.0.0.1")):
            pass
        async with services.running(make_settings(host="0.0.0.0", callback_tokens="a-callback-token-0123456789")):
            pass
        assert log.events("callback.unprotected") == []
        async with services.running(make_settings(host="0.0.0.0")):
            pass
    (line,) = log.events("callback.unprotected")
    assert line["platforms"] == "huawei, cloudsms, tencent"


async def test_a_port_that_is_taken_is_told_in_one_sentence_with_its_setting(database: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        settings = {"database_url": database, "data_dir": tmp_path / "data", "host": "127.0.0.1", "ops_port": 0}
        ended = await command.receiver("serve", folder=tmp_path, port=taken, **settings)
    line = ended.err.splitlines()[-1]
    assert line.startswith(
        f"Error: RECEIVER_HOST=127.0.0.1, RECEIVER_PORT={taken}: cannot listen there (address already"
    )
    assert line.endswith("set RECEIVER_PORT to a port that is free")
    assert ended.code == 1
