"""The platform's own order of states decides between reports of the same time, or of none.

Revision ID: 0009
"""

from receiver.store.schema import run_script

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Read the time of a part without the sequence behind it."""
    run_script("0009_sequence.sql")
