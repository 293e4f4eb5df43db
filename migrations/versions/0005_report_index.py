"""Reports and submissions of a message are found by a smaller index.

Revision ID: 0005
"""

from receiver.store.schema import run_script

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Replace both primary keys; no report is written meanwhile, they wait in the spool."""
    run_script("0005_report_index.sql")
