"""Rejected payloads in a ring that can be kept small; a role that owns everything.

Revision ID: 0003
"""

from receiver.store.schema import run_script

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Move what was rejected so far into the ring."""
    for script in ("rejected", "roles"):
        run_script(f"0003_{script}.sql")
