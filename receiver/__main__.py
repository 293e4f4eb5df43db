"""Entry point of `receiver` and of `python -m receiver`."""

import os
import signal
import sys


def main() -> None:
    """Run the command in the arguments.

    SIGINT gets the kernel's default action, which works during imports too, until a command has something to clean up
    (`receiver.signals`). A KeyboardInterrupt within an import or a callback would be printed, and perhaps lost.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # otherwise it is ignored, as under nohup
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    _open_closed_streams()
    # ruff: noqa: PLC0415 - see above
    if instruction := os.environ.get("_RECEIVER_COMPLETE"):
        from receiver.cli.completing import complete

        raise SystemExit(complete(instruction))
    from receiver.cli import main as command

    command(prog_name="receiver")


def _open_closed_streams() -> None:
    """/dev/null in place of standard streams that are closed (`>&-`): else the next socket would take their numbers."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free: this one
            setattr(sys, name, os.fdopen(number, "w" if number else "r", encoding="utf-8", closefd=False))


if __name__ == "__main__":
    main()
