"""The transform by kernels of one read and one write for each of its two phases, written in Pallas for GPUs.

Small rings, and platforms without the kernels, run the same steps on whole arrays: what was chosen on one
machine can be exported for another. Importing this package does not import Pallas; choosing the method does.
"""

from fhejax.ring.transform.pallas.roots import tables
from fhejax.ring.transform.pallas.transform import forward, inverse
from fhejax.ring.transform.pallas.trial import SMALLEST_DEGREE, working_backend

__all__ = ["SMALLEST_DEGREE", "forward", "inverse", "tables", "working_backend"]
