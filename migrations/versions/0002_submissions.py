"""Submissions: messages from the moment they were handed to a platform, overdue ones, statistics.

Revision ID: 0002
"""

from receiver.store.schema import run_script

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create what submissions need, and let the message's state know of them."""
    for script in ("submissions", "state", "views", "roles"):
        run_script(f"0002_{script}.sql")
