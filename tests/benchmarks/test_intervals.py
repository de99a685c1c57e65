import math

import pytest

from benchmarks.intervals import ratio_interval


def test_the_interval_is_students():
    # Logarithms of the ratios: -log 2, 0, log 2. t of two degrees of freedom at 97.5 % is 4.303.
    found = ratio_interval([1.0, 3.0, 8.0], [2.0, 3.0, 4.0])
    half = 4.302652729911275 * math.log(2) / math.sqrt(3)
    assert found == pytest.approx({"ratio": 1.0, "low": math.exp(-half), "high": math.exp(half)})
    with pytest.raises(ValueError, match="1 pair"):
        ratio_interval([1.0], [2.0])
