"""The platforms that can be pulled from.

What a platform's API looks like has to be known somewhere, and its client does I/O, which `receiver.providers` may
not. So this package is, beside `providers` and `catalogue`, the third place that names platforms, and the last.
"""

from typing import Final

from receiver.pull.source import Platform
from receiver.pull.sources import tencent

PLATFORMS: Final[tuple[Platform, ...]] = (tencent.PLATFORM,)
