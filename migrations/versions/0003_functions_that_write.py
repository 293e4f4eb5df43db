"""Functions that write envelopes and submissions, as one writes reports: where shards hold them, theirs differ.

A partition is replicated by what identifies the rows of its table.

Revision ID: 0003
"""

from receiver.store.schema import run_script

revision = "0003"
down_revision = "0002"
compatible_from = "0002"


def upgrade() -> None:
    """Add them; instances of the version before insert the rows themselves meanwhile."""
    run_script("0003/beside_reports.sql")
    run_script("0003/partitions.sql")
