"""What operations of the scheme are made of: transforms, products and what is read, counted by formula.

Times of machines follow from these counts; no machine is known here.
"""

from fhejax.ckks.counts.limb_table import LimbTable, SwitchedLimbs, limb_table
from fhejax.ckks.counts.operation_counts import NOTHING, OperationCounts

__all__ = ["NOTHING", "LimbTable", "OperationCounts", "SwitchedLimbs", "limb_table"]
