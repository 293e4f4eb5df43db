"""Entry point of `receiver` and of `python -m receiver`."""

import os
import signal


def main() -> None:
    """Run the command in the arguments.

    SIGINT gets the kernel's default action, which works during imports too, until a command has something to clean up
    (`receiver.signals`). A KeyboardInterrupt within an import or a callback would be printed, and perhaps lost.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # otherwise it is ignored, as under nohup
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    # ruff: noqa: PLC0415 - see above
    if instruction := os.environ.get("_RECEIVER_COMPLETE"):
        from receiver.cli.completing import complete

        raise SystemExit(complete(instruction))
    from receiver.cli import main as command

    command(prog_name="receiver")


if __name__ == "__main__":
    main()
