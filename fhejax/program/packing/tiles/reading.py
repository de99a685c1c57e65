"""The operations of a tensor graph as forms: which products and sums a function is made of."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fhejax.program.packing.tiles.argument_atoms import argument_form
from fhejax.program.packing.tiles.axes import NamedAxes
from fhejax.program.packing.tiles.forms import Form, Forms, number
from fhejax.program.packing.tiles.names import Names
from fhejax.program.tensor.graph import TensorGraph, live_operations
from fhejax.program.tensor.operation import Operation
from fhejax.program.tensor.operations.affine import Affine
from fhejax.program.tensor.operations.argument import Argument
from fhejax.program.tensor.operations.contraction import Contraction
from fhejax.program.tensor.operations.polynomial import Polynomial
from fhejax.program.tensor.operations.power import Power
from fhejax.program.tensor.operations.product import Product
from fhejax.program.tensor.operations.rearrangements.broadcast import Broadcast
from fhejax.program.tensor.operations.rearrangements.patches import Patches
from fhejax.program.tensor.operations.rearrangements.reshape import Reshape
from fhejax.program.tensor.operations.rearrangements.transposition import Transposition
from fhejax.program.tensor.operations.reduction import Reduction
from fhejax.program.tensor.operations.sum import Sum
from fhejax.program.tensor.plain_program import PlainArray
from fhejax.program.tensor.refusals import Refusal, refuse

_HIGHEST_DEGREE = 15


def read_forms(graph: TensorGraph, axes: NamedAxes) -> tuple[Forms, dict[int, Form]]:
    """The forms of all live operations, by their numbers, and the atoms that they are made of.

    Raises:
        NotPolynomialError: with every operation that has no place in tiles, and its line.
    """
    forms, found = Forms(axes.sizes), {}
    refusals: list[Refusal] = []
    for place in sorted(live_operations(graph)):
        operation = graph.operations[place]
        if isinstance(operation, Argument):
            found[place] = argument_form(forms, graph, place, axes)
            continue
        names = [axes.of[source] for source in operation.sources]
        try:
            _check_distinct(axes.of[place])
            read = _RULES[type(operation)](forms, operation, axes.of[place], names, found)
        except ValueError as error:
            refusals.append(Refusal(operation.label, str(error)))
            read = found[operation.sources[0]]
        found[place] = read
    refuse(refusals)
    return forms, found


def _check_distinct(names: Names) -> None:
    kept = [name for dimension in names for name in dimension]
    if len(set(kept)) < len(kept):
        raise ValueError(
            "a result with two axes that run along together, such as those of x.T @ x, which packing='tiles' "
            "cannot tell apart; use packing='sample-per-slot'"
        )


def _affine(forms: Forms, operation: Affine, names: Names, _: Any, found: dict[int, Form]) -> Form:
    form = found[operation.sources[0]]
    if operation.factor is not None:
        form = forms.product(_plain(forms, operation.factor, names), form, (), str(operation.label))
    if operation.term is not None:
        form = forms.added([(form, 1.0), (_plain(forms, operation.term, names), 1.0)])
    return form


def _plain(forms: Forms, plain: PlainArray, names: Names) -> Form:
    """Plain numbers whose dimensions are the last of the named ones; equal ones are one number."""
    array = np.asarray(plain.array, np.float64)
    if not array.ndim or (array == array.reshape(-1)[0]).all():
        return number(array.reshape(-1)[0])
    last = names[len(names) - array.ndim :]
    own = (() if size == 1 else names for names, size in zip(last, array.shape, strict=True))
    return forms.plain(array, tuple(own))


def _sum(forms: Forms, operation: Sum, names: Names, _: Any, found: dict[int, Form]) -> Form:
    pairs = zip(operation.sources, operation.signs, strict=True)
    return forms.added([(found[source], float(sign)) for source, sign in pairs])


def _product(forms: Forms, operation: Product, names: Names, _: Any, found: dict[int, Form]) -> Form:
    first, second = (found[source] for source in operation.sources)
    return forms.product(first, second, (), str(operation.label))


def _power(forms: Forms, operation: Power, names: Names, _: Any, found: dict[int, Form]) -> Form:
    if operation.exponent > _HIGHEST_DEGREE:
        raise ValueError(
            f"a power above {_HIGHEST_DEGREE}, whose rounding grows too large in a training step"
        )
    coefficients = [0.0] * operation.exponent + [1.0]
    return forms.polynomial(found[operation.sources[0]], coefficients, str(operation.label))


def _polynomial(forms: Forms, operation: Polynomial, names: Names, _: Any, found: dict[int, Form]) -> Form:
    """A polynomial by powers of the value itself, which its derivative then shares."""
    table = np.asarray(operation.coefficients.array, np.float64)
    rows = table.reshape(-1, table.shape[-1])
    if (rows != rows[0]).any():
        raise ValueError("a polynomial with other coefficients for each channel, which tiles do not take")
    if len(rows[0]) - 1 > _HIGHEST_DEGREE:
        raise ValueError(f"a polynomial of a degree above {_HIGHEST_DEGREE}; fit one of a lower degree")
    low, high = operation.interval
    series = np.polynomial.Chebyshev(rows[0], domain=[low, high])
    powers = series.convert(kind=np.polynomial.Polynomial, domain=[-1, 1], window=[-1, 1]).coef
    return forms.polynomial(found[operation.sources[0]], list(map(float, powers)), str(operation.label))


def _contraction(
    forms: Forms, operation: Contraction, names: Names, sources: Sequence[Names], found: dict[int, Form]
) -> Form:
    first, second = (found[source] for source in operation.sources)
    summed = [name for d in operation.summed[0] for name in sources[0][d]]
    return forms.product(first, second, summed, str(operation.label))


def _reduction(
    forms: Forms, operation: Reduction, names: Names, sources: Sequence[Names], found: dict[int, Form]
) -> Form:
    summed = [name for d in operation.axes for name in sources[0][d]]
    return forms.total(found[operation.sources[0]], summed, str(operation.label))


def _same(forms: Forms, operation: Operation, names: Names, _: Any, found: dict[int, Form]) -> Form:
    """Axes have names: where their order changes, or they are joined or copied along, nothing is done."""
    return found[operation.sources[0]]


_RULES: dict[type[Operation], Callable[..., Form]] = {
    Affine: _affine,
    Sum: _sum,
    Product: _product,
    Power: _power,
    Polynomial: _polynomial,
    Contraction: _contraction,
    Reduction: _reduction,
    Reshape: _same,
    Broadcast: _same,
    Transposition: _same,
    Patches: _same,
}
