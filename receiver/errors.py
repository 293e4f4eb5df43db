"""The one base of every error that whoever runs this can mend."""


class OperatorError(Exception):
    """Its text is what a terminal shows: which setting, its value (never a secret), and what to do."""
