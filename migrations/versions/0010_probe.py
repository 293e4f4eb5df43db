"""A probe of whether commits are possible adds a row, and waits for nobody's lock.

Revision ID: 0010
"""

from receiver.store.schema import run_script

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Replace the table of the probe by one that only a function writes to."""
    run_script("0010_probe.sql")
