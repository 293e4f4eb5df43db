"""Entry point of `receiver` and of `python -m receiver`."""

from receiver import interrupt


def main() -> None:
    """Run the command in the arguments."""
    interrupt.exit_on_sigint()
    from receiver.cli import main as command  # noqa: PLC0415 - Ctrl-C may come while it is imported

    command(prog_name="receiver")


if __name__ == "__main__":
    main()
