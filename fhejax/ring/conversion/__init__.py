"""Base conversion as a kernel that reads a digit once for all of its targets, written in Pallas for GPUs.

XLA's kernel computes each target limb by itself, and so reads a digit of 12 primes 48 times, from the
second-level cache: `benchmarks/gpu/key_switch_passes.py` predicts that this costs 104 us of a rotation of 45
limbs. Importing this package does not import Pallas.
"""

from fhejax.ring.conversion.constants import conversion
from fhejax.ring.conversion.primitive import convert
from fhejax.ring.conversion.trial import conversion_backend

__all__ = ["conversion", "conversion_backend", "convert"]
