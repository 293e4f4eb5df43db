"""The receiver without its metrics, to see what they cost: `python -m bench.without` is `receiver serve`."""

from receiver.cli import main
from receiver.telemetry.metrics import Metrics


def _nothing(*_arguments: object) -> None:
    pass


if __name__ == "__main__":
    for name in ("reports_stored", "report_lag", "report_duplicate", "request_done", "flushed"):
        setattr(Metrics, name, _nothing)
    main(["serve"])
