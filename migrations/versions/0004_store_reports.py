"""Reports and the state of their messages are stored by one call of a function; no login can hold up another's locks.

Revision ID: 0004
"""

from receiver.store.schema import run_script

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Create the function of the write path, and replace the one that makes partitions."""
    for script in ("store_reports", "locks"):
        run_script(f"0004_{script}.sql")
