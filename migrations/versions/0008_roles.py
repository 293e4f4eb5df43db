"""The service writes reports and states by a function with its owner's rights, and cannot lock these tables.

Revision ID: 0008
"""

from receiver.store.schema import run_script

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Let the function of the write path run as its owner, and take what the service needs no more."""
    run_script("0008_roles.sql")
