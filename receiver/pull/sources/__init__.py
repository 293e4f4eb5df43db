"""The platforms that can be pulled from.

A platform's client does I/O, which `receiver.providers` may not. So this package is, beside `providers` and
`catalogue`, the third and last place that names platforms.
"""

from typing import Final

from receiver.pull.source import Platform
from receiver.pull.sources import tencent

PLATFORMS: Final[tuple[Platform, ...]] = (tencent.PLATFORM,)
