"""The log on a terminal: short lines, and while it rains one a second in place of them. Warnings are always shown."""

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from receiver.report import DeliveryReport
from receiver.telemetry.event_line import event_line
from receiver.telemetry.log_output import Output
from receiver.telemetry.rain import Tally, is_row
from receiver.telemetry.redaction import Event, now
from receiver.telemetry.short_line import MIN_WIDTH, short_line

LINES_PER_SECOND: Final = 10
"""More reports, replies and submissions than this in a second are rain."""

_SECOND: Final = 1.0

Redact = Callable[[None, str, Event], Event]


class Console:
    """Renders for the chain of the log: `render` raises DropEvent for a line that is counted instead.

    In a second that began dry the first lines are shown as they come, and the others counted. While it rains all are.
    At the second's end the counted ones are told: by a summary, or by their own lines where they were few.
    """

    def __init__(self, output: Output, redact: Redact, *, colours: bool, worker: int | None = None) -> None:
        self._output, self._redact, self._colours, self._worker = output, redact, colours, worker
        self._tally = Tally()
        self._held: list[bytes] = []
        """The first lines of those that are counted."""
        self._seen = 0
        self._raining = False
        self._loop: asyncio.AbstractEventLoop | None = None
        """In which the second ends; None between two seconds."""

    @property
    def width(self) -> int:
        """Columns of the terminal, which may change."""
        return max(MIN_WIDTH, self._output.columns())

    def render(self, _method: str, event: Event) -> bytes:
        """The bytes of a redacted event's line. Raises DropEvent."""
        if is_row(event):
            told = str(event["event"]), str(event.get("status")), str(event.get("provider"))
            line = self._now_or_later(*told, lambda: self._row(event))
            if line is None:
                raise structlog.DropEvent
            return line
        if event.get("level") == "info":
            self.flush()  # the last reports stand before `service.stopped`
        return _bytes(event_line(event, width=self.width, colours=self._colours))

    def report(self, event: str, report: DeliveryReport, recipient: str | None, lag_s: float | None) -> bool:
        """Show or count a report; `recipient` is masked. Always true: it needs no other line."""

        def row() -> bytes:
            line: Event = {
                "event": event,
                "provider": report.provider,
                "message_id": report.message_id,
                "status": report.status.value,
                "reason": report.reason and report.reason.value,
                "code": report.code,
                "recipient": recipient,
                "country": report.country,
                "lag_s": lag_s,
            }
            return self._row(self._redact(None, "info", line))

        line = self._now_or_later(event, report.status, report.provider, row)
        if line is not None:
            self._output.info(line)
        return True

    def tell(self, text: str) -> None:
        """Write these lines as they are."""
        self.flush()
        self._output.info(_bytes(text))

    def flush(self) -> None:
        """Tell now of what is counted and not told yet."""
        tally, held, self._tally, self._held = self._tally, self._held, Tally(), []
        if not tally.total:
            return
        if tally.total == len(held):
            for line in held:
                self._output.info(line)
            return
        more = not self._raining
        said = tally.line(now(), width=self.width, colours=self._colours, worker=self._worker, more=more)
        self._output.info(_bytes(said))

    def _now_or_later(self, event: str, status: str, platform: str, row: Callable[[], bytes]) -> bytes | None:
        """The line, to be shown now; None: it is counted."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return row()  # nothing would tell of it at the second's end
        if self._loop is not loop:
            self._begin_second(loop)
        self._seen += 1
        if not self._raining and self._seen <= LINES_PER_SECOND:
            return row()
        self._tally.add(event, status, platform)
        if len(self._held) < LINES_PER_SECOND:
            self._held.append(row())
        return None

    def _begin_second(self, loop: asyncio.AbstractEventLoop) -> None:
        self._seen = 0
        self._loop = loop
        loop.call_later(_SECOND, self._end_second)

    def _end_second(self) -> None:
        self.flush()
        self._raining = self._seen > LINES_PER_SECOND
        loop, self._loop = self._loop, None
        if self._raining and loop is not None:
            self._begin_second(loop)

    def _row(self, event: Event) -> bytes:
        shown = event if self._worker is None else {**event, "worker": self._worker}
        return _bytes(short_line(shown, width=self.width, colours=self._colours))


def _bytes(line: str) -> bytes:
    return f"{line}\n".encode(errors="backslashreplace")
