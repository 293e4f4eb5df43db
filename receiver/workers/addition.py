"""The metrics of several processes as those of one."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.registry import Collector

from receiver.workers.messages import Families

Rule = Callable[[Sequence[float]], float]


def _first(values: Sequence[float]) -> float:
    return values[0]


RULES: Final[Mapping[str, Rule]] = {
    "receiver_up": max,
    "receiver_build": max,
    "receiver_breaker_state": max,
    "receiver_spool_oldest_age_seconds": max,
    "receiver_last_report_age_seconds": min,
    "receiver_tls_certificate_expires_seconds": min,
    "receiver_partitions_left_days": _first,
    "receiver_stale_primaries": _first,  # it alone looks whether one is gone
    "receiver_sync_replica": _first,
    "receiver_process_start_time_seconds": _first,
}
"""By the family's name; all others are summed. The first value is the supervisor's."""

_LASTING: Final = frozenset(("counter", "histogram"))


def added(processes: Iterable[Families]) -> list[Metric]:
    """The families of all processes together; those of the first come first."""
    found: dict[str, Metric] = {}
    values: dict[str, dict[tuple[str, tuple[tuple[str, str], ...]], list[float]]] = {}
    for families in processes:
        for family in families:
            found.setdefault(family.name, Metric(family.name, family.documentation, family.type))
            children = values.setdefault(family.name, {})
            for sample in family.samples:
                children.setdefault((sample.name, tuple(sample.labels.items())), []).append(sample.value)
    for name, family in found.items():
        rule = RULES.get(name, sum)
        for (sample_name, labels), several in values[name].items():
            family.add_sample(sample_name, dict(labels), rule(several))
        if family.type == "stateset":
            _keep_last_state(family)
    return list(found.values())


def lasting(families: Families) -> list[Metric]:
    """Those of a process that still count once it is gone: a counter that fell would look like a restart."""
    return [family for family in families if family.type in _LASTING]


def rendered(families: Families) -> bytes:
    """The body of `/metrics`."""

    class Found(Collector):
        def collect(self) -> Families:
            return families

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Found())
    return generate_latest(registry)


def _keep_last_state(family: Metric) -> None:
    """Of several processes' states only the worst, the last in the enumeration's order, is that of the whole."""
    worst = max((at for at, sample in enumerate(family.samples) if sample.value), default=0)
    family.samples = [sample._replace(value=float(at == worst)) for at, sample in enumerate(family.samples)]
