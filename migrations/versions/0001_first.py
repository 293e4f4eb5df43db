"""Everything: tables, functions, views, roles.

Revision ID: 0001
"""

from receiver.store.schema import run_script

revision = "0001"
down_revision = None

SCRIPTS = (
    "tables",
    "partitions",
    "rejected",
    "state",
    "counts",
    "counting",
    "folding",
    "incoming",
    "merge",
    "store_reports",
    "probe",
    "views",
    "views_beside",
    "overdue",
    "statistics",
    "look_ups",
    "roles",
)


def upgrade() -> None:
    """Create it, subject by subject."""
    for script in SCRIPTS:
        run_script(f"0001/{script}.sql")
