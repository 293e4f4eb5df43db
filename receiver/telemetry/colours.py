"""Whether a terminal may get colours."""

import os


def has_colours() -> bool:
    """Not with NO_COLOR (https://no-color.org: an empty one counts for none), nor on a dumb terminal."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
