"""`python -m receiver` is the same as `receiver`."""

from receiver.cli import main

if __name__ == "__main__":
    main(prog_name="receiver")
