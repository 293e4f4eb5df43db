"""What spans the results of a packet is stored once; no duplicate makes the write path read a whole table.

Revision ID: 0006
"""

from receiver.store.schema import run_script

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add the table of envelopes, and replace the function of the write path and two views."""
    for script in ("envelopes", "store_reports", "views"):
        run_script(f"0006_{script}.sql")
