"""What several processes add up to, and how they share: the parts of receiver/workers without a process."""

from pathlib import Path

import orjson
import pytest
from prometheus_client.parser import text_string_to_metric_families

from receiver.report import ProviderName, Reason, Status
from receiver.settings import Settings
from receiver.store.spool_file import Depth
from receiver.telemetry import logs
from receiver.telemetry.log_output import ATOMIC_BYTES, pieces
from receiver.telemetry.metrics import Metrics, build
from receiver.workers import addition, shares
from receiver.workers.messages import Assignment, Families, State
from receiver.workers.slots import lowest_free, pause_s

ACME = ProviderName("acme")


def process(reports: int, breaker: str, age_s: float, days: float) -> Metrics:
    metrics = build("1")
    metrics.reports_stored(ACME, Status.UNDELIVERABLE, Reason.UNREACHABLE, reports)
    metrics.flushed(reports, 0.003)
    metrics.breaker_is(breaker)
    metrics.spool_oldest_age_seconds.set(age_s)
    metrics.spool_payloads.set(reports)
    metrics.partitions_left_days.set(days)
    return metrics


def values(families: Families) -> dict[str, float]:
    """As Prometheus reads them, by name and labels."""
    text = addition.rendered(families).decode()
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return {f"{s.name}{sorted(s.labels.items())}": s.value for s in samples}


def test_counters_and_histograms_are_summed_and_gauges_go_by_their_meaning() -> None:
    several = [process(1, "closed", 0, 7), process(2, "half_open", 9, 0), process(4, "open", 5, 0)]
    found = values(addition.added(list(one.registry.collect()) for one in several))
    labels = "[('provider', 'acme'), ('reason', 'unreachable'), ('status', 'undeliverable')]"
    assert found[f"receiver_reports_total{labels}"] == 7
    assert found["receiver_flush_reports_bucket[('le', '2.0')]"] == 2
    assert found["receiver_flush_reports_sum[]"] == 7
    assert found["receiver_spool_payloads[]"] == 7
    assert found["receiver_spool_oldest_age_seconds[]"] == 9
    assert found["receiver_partitions_left_days[]"] == 7  # the supervisor's, who alone knows
    assert found["receiver_up[]"] == 1
    states = {
        name: found[f"receiver_breaker_state[('receiver_breaker_state', '{name}')]"]
        for name in ("closed", "half_open", "open")
    }
    assert states == {"closed": 0, "half_open": 0, "open": 1}


def test_the_counters_of_a_worker_that_is_gone_still_count_and_its_gauges_do_not() -> None:
    gone, alive = process(3, "open", 9, 0), process(4, "closed", 1, 7)
    lasting = addition.lasting(gone.registry.collect())
    found = values(addition.added([alive.registry.collect(), addition.added([[], lasting])]))
    assert found["receiver_flush_reports_sum[]"] == 7
    assert found["receiver_spool_oldest_age_seconds[]"] == 1


def test_every_rule_names_a_metric_that_there_is() -> None:
    assert addition.RULES.keys() <= {family.name for family in build("1").registry.collect()}


def test_the_limits_are_shared_out_and_a_body_still_fits() -> None:
    settings = Settings(
        _env_file=None, workers=3, max_connections_per_address=4, max_body_bytes="30MiB", rejected_max_bytes="1GiB"
    )
    url = "postgresql://db/sms"
    given = Assignment(slot=2, workers=3, database_url=url, database_setting="X", data_dir=Path("/d"), sockets=[5])
    assert Assignment.of({**given.as_message(), "of a newer version": 1}) == given
    worker, supervisor = shares.of_worker(settings, given), shares.of_supervisor(settings)
    assert 3 * worker.max_connections <= settings.max_connections < 3 * worker.max_connections + 3
    assert worker.max_connections_per_address == 2
    assert worker.large_bodies_max_bytes == settings.max_body_bytes
    assert 3 * worker.spool_max_bytes + supervisor.spool_max_bytes == settings.spool_max_bytes
    assert (worker.database_url.get_secret_value(), worker.data_dir) == (url, Path("/d"))


def test_slots_are_taken_from_the_lowest_and_pauses_grow_from_none() -> None:
    assert [lowest_free(taken) for taken in (set(), {1, 3}, {2})] == [1, 2, 1]
    pauses = [pause_s(failures) for failures in range(1, 20)]
    assert pauses[0] == 0
    assert pauses == sorted(pauses)
    assert pauses[-1] == 5


@pytest.mark.parametrize("lengths", [[], [10] * 2_000, [ATOMIC_BYTES, 1, ATOMIC_BYTES - 1, 2]])
def test_lines_are_written_whole_in_pieces_that_a_pipe_takes_at_once(lengths: list[int]) -> None:
    lines = [b"x" * (length - 1) + b"\n" for length in lengths]
    found = list(pieces(lines))
    assert b"".join(found) == b"".join(lines)
    assert all(len(piece) <= ATOMIC_BYTES and piece.endswith(b"\n") for piece in found)


def test_a_state_survives_its_message() -> None:
    metrics = list(process(2, "open", 1, 0).registry.collect())
    state = State(database=True, spool=False, depth=Depth(3, None, 4096), metrics=metrics)
    again = State.of(orjson.loads(orjson.dumps(state.as_message())))
    assert (again.database, again.spool, again.depth) == (True, False, state.depth)
    assert values(again.metrics) == values(state.metrics)


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_line_that_is_too_long_for_one_write_is_shortened_and_stays_a_line(form: str, tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as stream:
        logs.configure(form, "INFO", stream=stream, worker=3)
        logs.get_logger().info("worker.started", error="é" * 9_000, path="huawei/report")
        logs.reset()
    written = (tmp_path / "log").read_bytes()
    assert len(written) <= ATOMIC_BYTES
    assert written.endswith(b"\n")
    for kept in (b"worker.started", b"huawei/report", b"worker"):
        assert kept in written
    assert form == "console" or orjson.loads(written)["worker"] == 3
