"""A journal of pulling, on the disk: after a crash it shows the call or answer that was in progress.

Two small files per source. `<name>.call` holds the time of the call under way, and is empty otherwise.
`<name>.answer` holds a received answer until it is kept in PostgreSQL or the spool.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import orjson

from receiver.inbound import Inbound
from receiver.telemetry.logs import get_logger

log = get_logger()


class AnswerJournal:
    """`folder` is created if need be. Only one process may use it, which the spool's lock beside it ensures.

    Disk errors are logged and not raised: PostgreSQL may take the answer all the same.
    """

    def __init__(self, folder: Path, path: str) -> None:
        self._folder = folder
        self._path = path
        name = path.replace("/", "-")
        self._call = folder / f"{name}.call"
        self._answer = folder / f"{name}.answer"
        with _disk_errors_logged(self._path, "prepare"):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            os.close(os.open(self._call, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
            _sync_folder(folder)

    def begin_call(self) -> None:
        """Note the time of a call that is about to be made."""
        with _disk_errors_logged(self._path, "begin"):
            _write(self._call, datetime.now(UTC).isoformat(timespec="seconds").encode())

    def write_answer(self, callback: Inbound) -> None:
        """Write the call's answer, atomically; it is on the disk when this returns."""
        c = callback
        head = orjson.dumps({"received_at": c.received_at.isoformat(), "request_id": c.request_id})
        with _disk_errors_logged(self._path, "hold"):
            part = self._answer.with_suffix(".part")
            _write(part, b"%b\n%b" % (head, c.body))
            part.rename(self._answer)
            _sync_folder(self._folder)
            self.end_call()

    def end_call(self) -> None:
        """Clear the note of the call: it returned nothing, or its answer is written."""
        with _disk_errors_logged(self._path, "end"):
            os.truncate(self._call, 0)

    def clear_answer(self) -> None:
        """Remove the answer, which is kept elsewhere now."""
        with _disk_errors_logged(self._path, "release"):
            self._answer.unlink(missing_ok=True)
            # After a `write_answer` without room on the disk, the call is still noted.
            os.truncate(self._call, 0)

    def pending_answer(self) -> Inbound | None:
        """An answer that an earlier process wrote and did not get kept; None if there is none."""
        try:
            head, _, body = self._answer.read_bytes().partition(b"\n")
            fields = orjson.loads(head)
            received_at, request_id = datetime.fromisoformat(fields["received_at"]), str(fields["request_id"])
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            log.error("pull.answer_unreadable", source=self._path, error=type(error).__name__)
            with _disk_errors_logged(self._path, "set aside"):
                self._answer.rename(self._answer.with_suffix(f".broken-{os.getpid()}"))
            return None
        return Inbound(
            path=self._path,
            body=body,
            content_type="application/json",
            received_at=received_at,
            remote_addr=None,
            request_id=request_id,
        )

    def interrupted_since(self) -> str | None:
        """Start, ISO 8601, of a call of an earlier process that ended without an answer; None if there is none."""
        since = None
        with suppress(OSError):
            since = self._call.read_text(encoding="ascii", errors="replace") or None
        return since


@contextmanager
def _disk_errors_logged(path: str, operation: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        log.error("pull.disk_failed", source=path, during=operation, error=str(error))


def _write(file: Path, content: bytes) -> None:
    """Replace the file's content; it is on the disk when this returns."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(descriptor)


def _sync_folder(folder: Path) -> None:
    """Fsync the folder: a new name must survive a power cut as well."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
