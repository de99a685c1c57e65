"""The choice between arrays by a plain predicate: a sum of masks times cases, so no operation of its own."""

import functools
from typing import Any

import numpy as np

from fhejax.program.tensor.builder import Builder, Operand, Tensor
from fhejax.program.tensor.operations.affine import affine
from fhejax.program.tensor.operations.sum import summed


def selection(builder: Builder, operands: list[Any], params: dict[str, Any]) -> Operand:
    """The primitive select_n.

    Raises:
        ValueError: an encrypted predicate, or one that chooses NaN or infinity.
    """
    which, *cases = operands
    if isinstance(which, Tensor):
        raise ValueError("a choice by an encrypted predicate; use a smooth polynomial instead")
    terms, plain = [], None
    for number, case in enumerate(cases):
        if isinstance(case, Tensor):
            mask = builder.map(functools.partial(_mask, number), which)
            terms.append(affine(builder, case, mask))
        else:
            chosen = builder.map(functools.partial(_chosen, number), which, case)
            plain = chosen if plain is None else builder.map(np.add, plain, chosen)
    total = summed(builder, terms, [1] * len(terms))
    return total if plain is None else affine(builder, total, term=plain)


def _mask(number: int, which: np.ndarray) -> np.ndarray:
    return (which == number).astype(np.float64)


def _chosen(number: int, which: np.ndarray, case: np.ndarray) -> np.ndarray:
    chosen = np.where(which == number, case, 0.0)
    if not np.isfinite(chosen).all():
        raise ValueError("a choice that gives NaN or infinity for some entries; give finite numbers there")
    return chosen
