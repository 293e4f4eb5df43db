"""The base class of every error that an operator can fix."""


class OperatorError(Exception):
    """The text is shown in the terminal: it names the setting, its value (never a secret) and the remedy."""
