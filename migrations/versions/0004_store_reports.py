"""Reports and the state of their messages are stored by one call of a function.

Revision ID: 0004
"""

from receiver.store.migrate import run_script

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Create the function of the write path."""
    run_script("0004_store_reports.sql")
