"""Counts by the day, for questions about months and years.

Revision ID: 0002
"""

from receiver.store.schema import run_script

revision = "0002"
down_revision = "0001"

SCRIPTS = ("days", "following", "views", "functions", "rights")


def upgrade() -> None:
    """Add them, filled from the counts by the hour; instances of the version before count on meanwhile."""
    for script in SCRIPTS:
        run_script(f"0002/{script}.sql")
