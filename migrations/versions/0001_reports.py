"""Delivery reports, messages, replies, rejected payloads and codes: tables, views, roles.

Revision ID: 0001
"""

from receiver.store.schema import run_script

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create everything."""
    for script in ("tables", "state", "partitions", "views", "roles"):
        run_script(f"0001_{script}.sql")
