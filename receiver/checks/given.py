"""The settings themselves: every wrong value, variables that are no setting, and what is left without them."""

from collections.abc import Iterator
from difflib import get_close_matches
from typing import NamedTuple

from receiver.checks.finding import Finding
from receiver.errors import OperatorError
from receiver.pull import wiring
from receiver.setting_source import SettingsError, read
from receiver.settings import Settings, unknown_variables, variable

SUBJECT = "settings"


class Given(NamedTuple):
    """The settings as far as they can be used: those that are `wrong` have their defaults. None: not at all."""

    settings: Settings | None
    wrong: frozenset[str]
    findings: list[Finding]


def given() -> Given:
    """Read the settings of this process, and the file `.env`."""
    settings, wrong, problems = _readable()
    findings = [Finding(SUBJECT, "error", problem) for problem in problems]
    findings += [one for one in _of_pulling() if one.what not in problems]
    findings += [Finding(SUBJECT, "warning", f"{name} is no setting", _meant(name)) for name in _unknown()]
    if settings is None:
        findings.append(Finding(SUBJECT, "warning", "nothing else was looked at", "correct that, and run this again"))
    elif not problems:
        findings.append(Finding(SUBJECT, "ok", _told(settings)))
    return Given(settings, wrong, findings)


def _readable() -> tuple[Settings | None, frozenset[str], list[str]]:
    wrong: frozenset[str] = frozenset()
    problems: list[str] = []
    try:
        return read(Settings), wrong, problems
    except SettingsError as error:
        wrong = error.fields
        problems += error.problems
    if not wrong:
        return None, wrong, problems
    defaults = {name: Settings.model_fields[name].get_default(call_default_factory=True) for name in wrong}
    try:
        return read(Settings, **defaults), wrong, problems
    except SettingsError as error:
        return None, wrong, [*problems, *(one for one in error.problems if one not in problems)]


def _of_pulling() -> Iterator[Finding]:
    try:
        wiring.configured()
    except SettingsError as error:
        yield from (Finding(SUBJECT, "error", problem) for problem in error.problems)
    except OperatorError as error:
        yield Finding(SUBJECT, "error", str(error))


def _unknown() -> list[str]:
    try:
        return unknown_variables(known=wiring.VARIABLES)
    except (OSError, UnicodeDecodeError):  # the file `.env`, of which a problem tells
        return []


def _meant(name: str) -> str:
    known = [*map(variable, Settings.model_fields), *wiring.VARIABLES]
    close = get_close_matches(name, known, n=1)
    return f"did you mean {close[0]}?" if close else "remove it, or correct its name: docs/settings.md has all of them"


def _told(settings: Settings) -> str:
    names = sorted(variable(name) for name in settings.model_fields_set)
    return f"{', '.join(names)} {'is' if len(names) == 1 else 'are'} set" if names else "none is set: defaults"
