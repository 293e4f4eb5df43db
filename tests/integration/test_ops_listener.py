"""The ops listener: alive, ready, measured; and that nothing of it is public, nor the callbacks on it."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import pytest
from prometheus_client.parser import text_string_to_metric_families
from support import process
from support import service as services
from support.dialects import ENDPOINT_PATHS, good_body, tells_of
from support.service import Service
from support.wire import DEADLINE_S

from receiver import service as lifecycle
from receiver.providers import ENDPOINTS, PROVIDERS
from receiver.settings import Settings

OPS_PATHS = ["/healthz", "/readyz", "/metrics"]
NOT_HERE = "postgresql://nobody@127.0.0.1:1/none"
BY_OUTCOME = """
SELECT provider, status, coalesce(reason, 'none') AS reason, count(*) AS n FROM sms.delivery_report GROUP BY 1, 2, 3
"""
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


async def get(service: Service, path: str) -> tuple[int, Any]:
    async with service.client.get(service.ops_url + path) as response:
        return response.status, await response.json()


async def scrape(service: Service) -> Samples:
    """Every sample by its name and labels, as Prometheus reads it."""
    async with service.client.get(f"{service.ops_url}/metrics") as response:
        assert response.status == 200
        assert response.headers["Content-Type"].startswith("text/plain; version=")
        text = await response.text()
    families = text_string_to_metric_families(text)
    return {(one.name, frozenset(one.labels.items())): one.value for family in families for one in family.samples}


def key(name: str, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
    return name, frozenset(labels.items())


def value(samples: Samples, name: str, **labels: str) -> float:
    return samples[key(name, **labels)]


async def ready_with_partitions(service: Service) -> dict[str, Any]:
    """What /readyz says once the first round of maintenance is over."""
    async with asyncio.timeout(DEADLINE_S):
        while True:
            _, report = await get(service, "/readyz")
            if report["partition_days_left"] is not None:
                return report
            await asyncio.sleep(0.02)


async def test_it_says_that_it_is_alive_and_ready_and_what_that_rests_on(service: Service) -> None:
    assert await get(service, "/healthz") == (200, {"status": "alive"})
    report = await ready_with_partitions(service)
    assert (await get(service, "/readyz"))[0] == 200
    assert report["status"] == "ready"
    assert report["database"] is True
    assert report["spool"]["takes"] is True
    assert (report["spool"]["callbacks"], report["spool"]["oldest"]) == (0, None)
    assert report["spool"]["file_bytes"] > 0
    assert report["partition_days_left"] == service.settings.partition_days_ahead
    assert report["warnings"] == []
    assert datetime.fromisoformat(report["time"]).tzinfo


async def test_nothing_of_either_listener_is_on_the_other(service: Service) -> None:
    for path in (*OPS_PATHS, "/", "/spool", "/spool/export"):
        for method in ("GET", "POST", "HEAD"):
            async with service.client.request(method, service.url + path) as response:
                assert response.status == 404, path
    for path in ENDPOINT_PATHS:
        for method in ("POST", "HEAD"):
            url = f"{service.ops_url}/callback/{path}"
            async with service.client.request(method, url, data=good_body(path, "ops")) as response:
                assert response.status == 404, path
    assert await service.rows("SELECT count(*) AS n FROM sms.delivery_report") == [{"n": 0}]


async def test_it_counts_what_became_of_every_report(service: Service) -> None:
    for path in ENDPOINT_PATHS:
        for body in (good_body(path, "counted"), good_body(path, "counted"), b"not understood"):
            await service.post(f"/callback/{path}", body)
    await service.post("/callback/huawei/report", b"smsMsgId=failed&status=MK:0001")
    await service.post("/callback/huawei/report", b"smsMsgId=strange&status=NEVER-SEEN")
    await service.post("/callback/tencent/reports", b'[{"sid":"half","report_status":"SUCCESS","errmsg":"DELIVRD"},1]')
    samples = await scrape(service)
    for row in await service.rows(BY_OUTCOME):
        labels = {name: row[name] for name in ("provider", "status", "reason")}
        assert value(samples, "receiver_reports_total", **labels) == row["n"]
    (stored,) = await service.rows("SELECT count(*) AS n FROM sms.delivery_report")
    assert sum(n for (name, _), n in samples.items() if name == "receiver_reports_total") == stored["n"]
    assert value(samples, "receiver_reports_total", provider="huawei", status="unknown", reason="none") == 1
    for provider in PROVIDERS:
        paths = [path for path in ENDPOINT_PATHS if ENDPOINTS[path].provider == provider.name]
        reports = [path for path in paths if tells_of(path) == "reports"]
        assert value(samples, "receiver_duplicate_reports_total", provider=provider.name) == len(reports)
        assert value(samples, "receiver_last_report_age_seconds", provider=provider.name) >= 0
        bad = value(samples, "receiver_rejected_payloads_total", provider=provider.name, kind="payload")
        assert bad == len(paths)
        if len(paths) > len(reports):
            assert value(samples, "receiver_replies_total", provider=provider.name) == 1
    assert value(samples, "receiver_rejected_payloads_total", provider="tencent", kind="item") == 1


async def test_it_measures_requests_commits_and_what_waits(service: Service) -> None:
    path = "huawei/report"
    await service.post(f"/callback/{path}", good_body(path, "measured"))
    await service.post(f"/callback/{path}", b"?")
    async with service.client.get(f"{service.url}/callback/{path}"):
        pass
    await ready_with_partitions(service)
    samples = await scrape(service)
    for status in ("200", "400", "405"):
        assert value(samples, "receiver_http_requests_total", provider="huawei", endpoint="report", status=status) == 1
    assert value(samples, "receiver_http_request_duration_seconds_count", endpoint="report") == 3
    assert value(samples, "receiver_commit_duration_seconds_count") == 2
    assert value(samples, "receiver_flush_reports_sum") == 2
    assert value(samples, "receiver_queue_reports") == 0
    assert value(samples, "receiver_spool_payloads") == 0
    assert value(samples, "receiver_spool_oldest_age_seconds") == 0
    assert 0 < value(samples, "receiver_spool_bytes") < value(samples, "receiver_spool_max_bytes") == 2**30
    assert value(samples, "receiver_breaker_state", receiver_breaker_state="closed") == 1
    assert value(samples, "receiver_partitions_left_days") == service.settings.partition_days_ahead
    assert value(samples, "receiver_up") == 1

    an_hour_ago = f"{datetime.now(UTC) - timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}"
    late = f"smsMsgId=late&status=DELIVRD&updateTime={an_hour_ago}"
    for body in (late, late, "smsMsgId=without-a-time&status=EXPIRED"):
        await service.post("/callback/huawei/report", body)
    before, samples = samples, await scrape(service)

    def new(name: str, **labels: str) -> float:
        return value(samples, name, provider="huawei", **labels) - before.get(key(name, provider="huawei", **labels), 0)

    assert new("receiver_report_lag_seconds_count") == 1
    assert new("receiver_report_lag_seconds_bucket", le="900.0") == 0
    assert new("receiver_report_lag_seconds_bucket", le="14400.0") == 1


async def test_a_label_never_comes_from_a_payload_or_a_path(service: Service) -> None:
    """Else a stranger fills Prometheus' memory, or writes into it."""
    for number in range(30):
        await service.post("/callback/huawei/report", f"smsMsgId=m{number}&status=made-up-{number}".encode())
        for url in (
            f"/callback/huawei/made-up-{number}",
            f"/callback/huawei/report/made-up-{number}",
            f"/made-up-{number}",
        ):
            async with service.client.post(service.url + url):
                pass
    async with service.client.get(f"{service.ops_url}/metrics") as response:
        assert "made-up" not in await response.text()


async def test_without_the_database_it_is_ready_on_the_spool_and_warns(
    make_settings: Callable[..., Settings],
) -> None:
    async with (
        lifecycle.running(make_settings(database_url=NOT_HERE), asyncio.Event()) as listeners,
        aiohttp.ClientSession() as client,
    ):
        async with client.post(
            f"{listeners.public.url}/callback/huawei/report", data=good_body("huawei/report", "away")
        ):
            pass
        async with client.get(f"{listeners.ops.url}/readyz") as response:
            assert response.status == 200
            report = await response.json()
        async with client.get(f"{listeners.ops.url}/healthz") as response:
            assert response.status == 200
    assert (report["status"], report["database"], report["spool"]["takes"]) == ("ready", False, True)
    assert report["spool"]["callbacks"] == 1
    assert datetime.fromisoformat(report["spool"]["oldest"]).tzinfo
    assert [warning for warning in report["warnings"] if "spool" in warning]


async def test_it_says_that_it_stops_before_it_stops(make_settings: Callable[..., Settings]) -> None:
    """A load balancer has to see it, while what still comes on open connections is answered."""
    async with aiohttp.ClientSession() as client, AsyncExitStack() as stack:
        settings = make_settings(drain_delay_s=1.0)
        listeners = await stack.enter_async_context(lifecycle.running(settings, asyncio.Event()))
        callback = f"{listeners.public.url}/callback/huawei/report"
        async with client.post(callback, data=good_body("huawei/report", "before")) as response:
            assert response.status == 200
        stopping = asyncio.create_task(stack.pop_all().aclose())
        seen = set()
        async with asyncio.timeout(DEADLINE_S):
            while "stopping" not in seen:
                async with client.get(f"{listeners.ops.url}/readyz") as response:
                    report = await response.json()
                    seen.add(report["status"])
                    assert response.status == (503 if report["status"] == "stopping" else 200)
        async with client.post(callback, data=good_body("huawei/report", "while")) as response:
            assert response.status == 200
        async with client.get(f"{listeners.ops.url}/healthz") as response:
            assert response.status == 200
        await stopping
    assert seen <= {"ready", "stopping"}


@pytest.mark.parametrize("workers", [1, 2])
async def test_it_takes_new_connections_while_a_balancer_learns_that_it_stops(
    database: str, tmp_path: Path, workers: int
) -> None:
    """One that polls each second or two goes on sending callers until it has asked."""
    settings = {"database_url": database, "workers": workers, "shutdown_delay_s": 6.0}
    async with process.running(tmp_path, **settings) as service, aiohttp.ClientSession() as client:
        stopping = asyncio.create_task(service.terminate())
        await service.until(lambda answer: answer["status"] == "stopping")
        url = f"{service.url}/callback/huawei/report"
        async with client.post(url, data=good_body("huawei/report", "afterwards")) as response:
            assert response.status == 200
        assert await stopping == 0


async def test_it_warns_when_partitions_run_out(
    make_settings: Callable[..., Settings], sql: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    for row in await sql.fetch("SELECT name FROM sms_data.partition WHERE day > (now() AT TIME ZONE 'UTC')::date + 1"):
        await sql.execute(f'DROP TABLE sms_data."{row["name"]}"')
    async with services.running(make_settings(partition_days_ahead=1)) as service:
        report = await ready_with_partitions(service)
        assert value(await scrape(service), "receiver_partitions_left_days") == 1
    assert report["status"] == "ready"
    assert report["partition_days_left"] == 1
    assert [warning for warning in report["warnings"] if "receiver maintain" in warning]
