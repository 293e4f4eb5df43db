"""`make plan` computes machines from costs: what must hold for any rate and any assumptions."""

from dataclasses import fields, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from plan import costs, databases, day, layout, needs, text
from plan.__main__ import main
from plan.assumptions import Assumptions
from plan.databases import Database, Traffic
from plan.ladder import ladder
from plan.machines import MACHINES

COSTS = costs.load().costs
PER_REPORT = replace(COSTS, **{name: 0.0 for name in costs.NAMES if "_flush_" in name or "_shard_" in name})
"""Without what a commit costs: the more reports come, the more of them share one, and so it may cost less in all."""

RATES = st.floats(4, 9.5).map(lambda power: 10**power)
ASSUMPTIONS = st.builds(
    Assumptions,
    single=st.floats(0, 1),
    per_message=st.floats(1, 5),
    duplicates=st.floats(0, 0.5),
    retention_days=st.floats(1, 400),
    campaign=st.floats(1, 3),
    outage_share=st.floats(0, 1),
    outage_hour=st.integers(0, 20),
    catch_up_min=st.floats(20, 60),
    failover_s=st.integers(0, 300),
    headroom=st.floats(0.2, 0.6),
    spare=st.integers(0, 3),
    replicas=st.integers(0, 3),
    core=st.floats(0.5, 2),
)


def traffic(assumed: Assumptions, rate: float, of: costs.Costs = COSTS) -> Traffic:
    return layout.traffic_of(of, assumed, rate)


@given(ASSUMPTIONS, RATES, st.floats(1, 10), st.sampled_from(MACHINES))
def test_more_reports_need_no_less_of_anything(assumed: Assumptions, rate: float, more: float, machine: Any) -> None:
    few, many = (databases.database(traffic(assumed, one, PER_REPORT), machine) for one in (rate, rate * more))
    for less, greater in zip(few.resources, many.resources, strict=True):
        if less.name != databases.CONNECTION:  # there are more of them then
            assert less.needed <= greater.needed * (1 + 1e-6), less.name
    assert few.writers <= many.writers


@given(ASSUMPTIONS, RATES, st.floats(1, 10))
def test_more_reports_need_no_smaller_machines(assumed: Assumptions, rate: float, more: float) -> None:
    few, many = (layout.sized(traffic(assumed, one, PER_REPORT)) for one in (rate, rate * more))
    assert few.step <= many.step or few.step == 2  # several receivers; with Citus these wait less, or longer
    assert size(few.database) <= size(many.database)
    assert few.service_cores <= many.service_cores * (1 + 1e-6)


def size(found: Database) -> tuple[int, int]:
    return found.nodes, MACHINES.index(found.machine)


@given(ASSUMPTIONS, RATES)
def test_no_machine_is_asked_for_more_than_it_may_be_at_the_days_highest_load(
    assumed: Assumptions, rate: float
) -> None:
    found = layout.sized(traffic(assumed, rate))
    free = 1 - assumed.headroom + 1e-6
    for one in found.database.resources:
        assert one.needed <= one.has * (1 if one.name == databases.DISK else free), one
    assert found.service_cores <= found.database.writers * free
    assert found.database.writers <= found.receivers.number * found.receivers.machine.cores
    if found.shared:
        both = found.service_cores + next(one.needed for one in found.database.resources if one.name == databases.CPU)
        assert both <= found.shared.cores * free


@given(ASSUMPTIONS, RATES)
def test_a_day_adds_up_and_ends_with_an_empty_spool(assumed: Assumptions, rate: float) -> None:
    found = layout.plan(COSTS, assumed, rate)
    assert found.day.arrived == pytest.approx(rate)
    assert sum(hour.mean_s for hour in found.day.hours) * 3600 == pytest.approx(rate)
    assert found.day.stored + found.day.waiting == pytest.approx(rate)
    assert found.day.waiting <= rate * 1e-9
    assert max(hour.busy for hour in found.day.hours) <= 1 + 1e-9
    assert max(hour.most_s for hour in found.day.hours) == pytest.approx(found.sized.traffic.peak_s)
    assert found.day.spool <= found.sized.traffic.peak_s * (assumed.failover_s + day.STEP_S) * (1 + 1e-6)
    assert bool(found.day.spool) == bool(assumed.failover_s)


@given(RATES)
def test_any_one_machine_may_be_lost(rate: float) -> None:
    for one in layout.plan(COSTS, Assumptions(), rate).rented:
        assert one.number + one.spare >= 2, one


@given(ASSUMPTIONS, RATES)
def test_spare_machines_and_the_dearer_provider_cost_no_less(assumed: Assumptions, rate: float) -> None:
    found = layout.plan(COSTS, assumed, rate)
    assert found.least[0] <= found.safe[0] <= found.safe[1]
    assert found.least[0] <= found.least[1] <= found.safe[1]
    doubled = layout.plan(COSTS, replace(assumed, price=2.0), rate)
    assert doubled.safe == pytest.approx([2 * end for end in found.safe])


@given(ASSUMPTIONS, st.floats(0.1, 1e6), st.integers(1, 100), st.floats(1e-4, 0.1), st.floats(1e-6, 1e-3))
def test_what_is_committed_is_what_came(
    assumed: Assumptions, rate: float, writers: int, wait_s: float, each_s: float
) -> None:
    assert sum(needs.mix(assumed)) == pytest.approx(1)
    flushed = needs.flushes(rate, writers, wait_s, each_s)
    assert flushed.size * flushed.per_second == pytest.approx(rate)
    assert 1 <= flushed.size <= needs.MAX_FLUSH


@pytest.mark.parametrize("name", costs.NAMES)
def test_no_cost_is_in_the_table_for_nothing(name: str) -> None:
    table = costs.load()
    other = table.changed({name: getattr(table.costs, name) * 30})
    assert any(without_costs(table, rate) != without_costs(other, rate) for rate in (5e8, 2e9))


def without_costs(table: costs.Table, rate: float) -> str:
    told = text.told(layout.plan(table.costs, Assumptions(), rate), table)
    return told.partition("Costs (")[0]


def test_steps_go_up_and_say_what_gives() -> None:
    rungs = ladder(COSTS, Assumptions())
    assert [one.step for one in rungs] == [step for step in layout.STEPS if step in {one.step for one in rungs}]
    assert all(before.most_a_day < after.most_a_day for before, after in pairwise(rungs))
    assert all(one.gives for one in rungs[:-1])


def test_a_step_is_enough_for_as_many_as_the_page_says() -> None:
    rows = [line.split("|") for line in text.ladder_grid(costs.load(), Assumptions()).splitlines()[2:]]
    said = [(step.strip(), most.split()) for _, step, most, *_ in rows if most.strip() != "any"]
    for step, (number, unit) in said:
        rate = float(number) * {"million": 1e6, "billion": 1e9}[unit]
        assert layout.sized(traffic(Assumptions(), rate)).step <= layout.STEPS.index(step), rate


@pytest.mark.parametrize("written", ["1e9", "1_000_000_000", "1000M", "1G", "1B"])
def test_a_rate_is_written_as_people_do(written: str) -> None:
    told = CliRunner().invoke(main, [written])
    assert told.output.startswith("1 billion reports a day"), told.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["many"], "no number of reports a day"),
        (["0"], "from 1 to 1e12"),
        (["nan"], "from 1 to 1e12"),
        (["1e9", "--single", "2"], "range"),
        (["1e9", "--cost", "wal=1"], "the costs are"),
        (["1e9", "--cost", "spool_bytes=a"], "NAME=NUMBER"),
        (["1e9", "--cost", "spool_bytes=inf"], "0 or more"),
    ],
)
def test_what_is_no_rate_no_share_or_no_cost_is_said(arguments: list[str], said: str) -> None:
    told = CliRunner().invoke(main, arguments)
    assert told.exit_code == 2
    assert said in told.output


def test_what_no_number_of_machines_can_take_is_said() -> None:
    told = CliRunner().invoke(main, ["1e12"])
    assert (told.exit_code, "too many for 1,024 nodes" in told.output) == (1, True)


def test_every_assumption_is_printed_and_can_be_changed() -> None:
    for one in fields(Assumptions):
        option = f"--{one.name.replace('_', '-')}"
        other = one.metadata["most"]
        told = CliRunner().invoke(main, ["1e8", option, str(other)])
        assert told.exit_code == 0, told.output
        assert f"  {option} {other:g}  " in told.output


def test_what_was_measured_is_kept_and_is_assumed_no_longer(tmp_path: Path) -> None:
    file = tmp_path / "measured.toml"
    file.write_bytes(costs.FILE.read_bytes())
    before = costs.load(file)
    kept = costs.keep({"citus_worker_us": 12.3456, "spool_bytes": 241.8}, 'here, "today"', file)
    assert (kept.costs.citus_worker_us, kept.costs.spool_bytes, kept.taken) == (12.3, 242, 'here, "today"')
    assert kept.assumed == before.assumed - {"citus_worker_us"}
    assert replace(kept.costs, citus_worker_us=before.costs.citus_worker_us, spool_bytes=before.costs.spool_bytes) == (
        before.costs
    )
    assert file.read_text().startswith(costs.FILE.read_text().partition("taken")[0])
