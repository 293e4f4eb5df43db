"""The dialects of the platforms that `receiver simulate` can play; a new one is a file here and a line below.

This is test equipment: no part of a service imports it.
"""

from typing import Final

from receiver.simulate.dialects import cloudsms, huawei, tencent
from receiver.simulate.dialects.base import Dialect

DIALECTS: Final[dict[str, Dialect]] = {
    "huawei": huawei.DIALECT,
    "cloudsms": cloudsms.DIALECT,
    "tencent": tencent.DIALECT,
}
"""By the provider's name."""
