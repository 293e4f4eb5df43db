"""A platform's name that is mistyped in a setting stops every start, in one line, before anything runs."""

from pathlib import Path

import pytest
from support.preloaded import Commands

from receiver.providers import ORIGINS, PROVIDERS, VERIFIERS
from receiver.settings import SettingsError, load, variable

ALL = ", ".join(sorted(provider.name for provider in PROVIDERS))
SIGNING = ", ".join(sorted(VERIFIERS))
PRESETS = ", ".join(sorted(ORIGINS))
WRONG = {
    "push_keys": {
        "hauwei:access:very-secret": f"no platform whose signatures can be checked; there are {SIGNING}",
        "cloudsms:access:very-secret": f"no platform whose signatures can be checked; there are {SIGNING}",
        "very-secret:access:huawei": "key pair 1 of 1 is of no platform",
    },
    "reporting_windows_h": {
        "pigeon=1": f"no platform is called pigeon; there are {ALL}",
        "huawei=1,huawei=2": "names a platform twice",
        "huawei": "is not a list of platform=hours",
    },
    "allowed_addresses": {
        "huawei=huawei,hauwei=203.0.113.0/24": f"no platform is called hauwei; there are {ALL}",
        "tencent=tencent": f"tencent=tencent is no network and no preset (there are {PRESETS})",
        "huawei=203.0.113.1/24": "host bits",
    },
    "tls_client_ca": {
        "acme=ca.pem": f"no platform is called acme; there are {ALL}",
        "huawei=a.pem,huawei=b.pem": "names a platform twice; put all its authorities into one file",
    },
}
COMMANDS = (("serve",), ("pull", "tencent"), ("maintain",))
PULLED = {"tencent_pull_secret_id": "id", "tencent_pull_secret_key": "key", "tencent_pull_sdk_app_id": "1400000000"}


@pytest.mark.parametrize(("command", "setting"), list(zip(COMMANDS, WRONG, strict=False)))
async def test_a_command_says_so_in_one_line_before_anything_runs(
    tmp_path: Path, commands: Commands, command: tuple[str, ...], setting: str
) -> None:
    data_dir = tmp_path / "data"
    value, complaint = next(iter(WRONG[setting].items()))
    given = PULLED | {"data_dir": data_dir, "port": 0, "ops_port": 0, setting: value}
    ended = await commands.run(*command, **given)
    assert ended.complaint.startswith(f"RECEIVER_{setting.upper()}: ")
    assert complaint in ended.complaint
    assert "very-secret" not in ended.err
    assert ended.out == "", "nothing was started, so nothing was logged"
    assert not data_dir.exists()


def test_every_mistake_is_named_with_what_there_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for setting, value, complaint in ((name, *told) for name, values in WRONG.items() for told in values.items()):
        with monkeypatch.context() as patch:
            patch.setenv(variable(setting), value)
            with pytest.raises(SettingsError) as caught:
                load()
        assert str(caught.value).startswith(f"{variable(setting)}: ")
        assert complaint in str(caught.value)
        assert "very-secret" not in str(caught.value)
