"""Each failed receipt is in the class that the platforms' statistics mean by its name, or in none of them.

Revision ID: 0007
"""

from receiver.store.schema import run_script

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Sort the reasons anew, and add a column for what fits no class."""
    run_script("0007_failure_classes.sql")
