"""The judge itself: a ledger that the database contradicts is found out."""

from pathlib import Path

import pytest
from support import ledger as ledgers
from support.ledger import Row

_NOTES = """\
> 0 100.0 huawei_single a
> 1 100.1 huawei_batch b,c
< 0 100.2 ok 200 0.200000
> 2 100.3 huawei_single d
< 1 100.4 failed 503 0.300000
> 3 100.5 huawei_single e
< 2 100.6 unknown ServerDisconnectedError 0.300000
< 3 100."""

_AGREES = {"a": Row(1, 100.1, has_state=True), "d": Row(1, 100.5, has_state=True)}


@pytest.fixture
def ledger(tmp_path: Path) -> ledgers.Ledger:
    file = tmp_path / "ledger"
    file.write_text(_NOTES, encoding="utf-8")
    return ledgers.read(file)


def test_what_the_client_noted_is_read_up_to_where_it_was_cut_off(ledger: ledgers.Ledger) -> None:
    assert ledger.outcomes() == {"ok": 1, "failed": 1, "unknown": 2}
    assert ledger.ids() == {"a", "b", "c", "d", "e"}
    assert ledger.ids("ok") == {"a"}


def test_a_refused_report_may_be_stored_or_not(ledger: ledgers.Ledger) -> None:
    assert ledgers.judge(ledger, _AGREES).good
    assert ledgers.judge(ledger, _AGREES | {"b": Row(1, 100.2, has_state=True)}).good


@pytest.mark.parametrize(
    ("kind", "rows"),
    [
        ("lost", {"d": _AGREES["d"]}),
        ("lost", _AGREES | {"a": Row(1, 100.1, has_state=False)}),
        ("duplicated", _AGREES | {"a": Row(2, 100.1, has_state=True)}),
        ("invented", _AGREES | {"z": Row(1, 100.1, has_state=True)}),
        ("mistimed", _AGREES | {"a": Row(1, 109.9, has_state=True)}),
        ("mistimed", _AGREES | {"d": Row(1, 99.0, has_state=True)}),
    ],
)
def test_what_must_not_be_is_found(ledger: ledgers.Ledger, kind: str, rows: dict[str, Row]) -> None:
    verdict = ledgers.judge(ledger, rows)
    assert not verdict.good
    assert len(getattr(verdict, kind)) == 1
