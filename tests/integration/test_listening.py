"""What the log says of the listeners' addresses, and what is said where there can be no listener."""

import socket
from collections.abc import Callable
from pathlib import Path

from support import service as services
from support.capture import captured_log
from support.preloaded import Commands

from receiver.settings import Settings


async def test_the_log_tells_what_is_bound_and_which_listener_takes_a_strangers_word(
    make_settings: Callable[..., Settings],
) -> None:
    with captured_log(level="INFO") as log:
        for changes in ({"host": "127.0.0.1"}, {"host": "0.0.0.0", "callback_tokens": "a-callback-token-0123456789"}):
            async with services.running(make_settings(**changes)):
                assert log.events("callback.unprotected") == []
    with captured_log(level="INFO") as log:
        async with services.running(make_settings(host="0.0.0.0")) as service:
            port = service.url.rpartition(":")[2]
    (line,) = log.events("callback.unprotected")
    assert line["platforms"] == "huawei, cloudsms, tencent"
    assert {line["bound"] for line in log.events("callback.listening")} == {f"0.0.0.0:{port}"}
    assert all(line["url"].startswith(f"http://127.0.0.1:{port}/") for line in log.events("callback.listening"))
    (line,) = log.events("ops.listening")
    assert line["url"] == f"http://{line['bound']}"


async def test_a_port_that_is_taken_is_told_in_one_sentence_with_its_setting(
    database: str, tmp_path: Path, commands: Commands
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        settings = {"database_url": database, "data_dir": tmp_path / "data", "host": "127.0.0.1", "ops_port": 0}
        ended = await commands.run("serve", port=taken, **settings)
    line = ended.err.splitlines()[-1]
    assert line.startswith(f"Error: RECEIVER_HOST=127.0.0.1, RECEIVER_PORT={taken}: cannot listen there")
    assert line.endswith("set RECEIVER_PORT to a port that is free")
    assert ended.code == 1
