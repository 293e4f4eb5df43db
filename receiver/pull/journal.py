"""What a source has in hand, on the disk: so that a process that dies knows afterwards what it was about.

Two small files a source. `<name>.call` holds the time of the call that is under way, and is empty else.
`<name>.answer` holds what the platform handed out, from before anything else is done with it until it is kept.
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
    """`folder` is created if need be. Only one process may use it: the spool's lock beside it sees to that.

    A disk that takes nothing is logged, and no error: PostgreSQL may take the answer all the same.
    """

    def __init__(self, folder: Path, path: str) -> None:
        self._folder = folder
        self._path = path
        name = path.replace("/", "-")
        self._call = folder / f"{name}.call"
        self._answer = folder / f"{name}.answer"
        with _told(self._path, "prepare"):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            os.close(os.open(self._call, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
            _sync_folder(folder)

    def begin(self) -> None:
        """A call is about to be made."""
        with _told(self._path, "begin"):
            _write(self._call, datetime.now(UTC).isoformat(timespec="seconds").encode())

    def hold(self, callback: Inbound) -> None:
        """The call's answer: on the disk, whole or not at all, when this returns."""
        c = callback
        head = orjson.dumps({"received_at": c.received_at.isoformat(), "request_id": c.request_id})
        with _told(self._path, "hold"):
            part = self._answer.with_suffix(".part")
            _write(part, b"%b\n%b" % (head, c.body))
            part.rename(self._answer)
            _sync_folder(self._folder)
            self.end()

    def end(self) -> None:
        """The call brought nothing, or its answer is held."""
        with _told(self._path, "end"):
            os.truncate(self._call, 0)

    def release(self) -> None:
        """The answer is kept elsewhere."""
        with _told(self._path, "release"):
            self._answer.unlink(missing_ok=True)
            # Where `hold` found no room, the call is still noted.
            os.truncate(self._call, 0)

    def held(self) -> Inbound | None:
        """The answer that a process before this one did not get kept."""
        try:
            head, _, body = self._answer.read_bytes().partition(b"\n")
            fields = orjson.loads(head)
            received_at, request_id = datetime.fromisoformat(fields["received_at"]), str(fields["request_id"])
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            log.error("pull.answer_unreadable", source=self._path, error=type(error).__name__)  # noqa: TRY400
            with _told(self._path, "set aside"):
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

    def interrupted(self) -> str | None:
        """When the call began, ISO 8601, whose answer a process before this one never got on the disk."""
        since = None
        with suppress(OSError):
            since = self._call.read_text(encoding="ascii", errors="replace") or None
        return since


@contextmanager
def _told(path: str, what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        log.error("pull.disk_failed", source=path, during=what, error=str(error))  # noqa: TRY400 - not a bug


def _write(file: Path, content: bytes) -> None:
    """Replace the file's content, on the disk when this returns."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(descriptor)


def _sync_folder(folder: Path) -> None:
    """A new name must survive a power cut as well."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
