"""The operations of a tensor graph as forms: which products and sums a function is made of."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fhejax.program.arguments import Encrypted, normalisation
from fhejax.program.packing.tiles.axes import NamedAxes, Names
from fhejax.program.packing.tiles.forms import ArgumentAtom, Form, Forms, number
from fhejax.program.tensor.graph import TensorGraph, live_operations
from fhejax.program.tensor.operation import Operation
from fhejax.program.tensor.operations.affine import Affine
from fhejax.program.tensor.operations.argument import Argument
from fhejax.program.tensor.operations.contraction import Contraction
from fhejax.program.tensor.operations.polynomial import Polynomial
from fhejax.program.tensor.operations.power import Power
from fhejax.program.tensor.operations.product import Product
from fhejax.program.tensor.operations.rearrangements.broadcast import Broadcast
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
            found[place] = _argument(forms, graph, operation, axes.of[place])
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
    kept = [name for name in names if name is not None]
    if len(set(kept)) < len(kept):
        raise ValueError(
            "a result with two axes that run along together, such as those of x.T @ x, which packing='tiles' "
            "cannot tell apart; use packing='sample-per-slot'"
        )


def _argument(forms: Forms, graph: TensorGraph, operation: Argument, names: Names) -> Form:
    """An argument: its normalised numbers times their unit, around their centre."""
    described = graph.arguments[operation.argument]
    assert isinstance(described, Encrypted)
    held = normalisation(described)
    axes = tuple(name for name in names if name is not None)
    if len(set(axes)) < len(axes):
        raise ValueError(
            f"argument {operation.argument} has two axes that run along together, such as those of a weight "
            f"between layers of the same axis, which packing='tiles' cannot tell apart."
        )
    atom = ArgumentAtom(operation.argument, axes, str(operation.label))
    form = forms.of_atom(("argument", operation.argument), atom).times(held.unit)
    return forms.added([(form, 1.0), (number(held.centre), 1.0)])


def _affine(forms: Forms, operation: Affine, names: Names, _: Any, found: dict[int, Form]) -> Form:
    form = found[operation.sources[0]]
    if operation.factor is not None:
        form = forms.product(_plain(forms, operation.factor, names), form, None, str(operation.label))
    if operation.term is not None:
        form = forms.added([(form, 1.0), (_plain(forms, operation.term, names), 1.0)])
    return form


def _plain(forms: Forms, plain: PlainArray, names: Names) -> Form:
    """Plain numbers whose dimensions are the last of the named ones; equal ones are one number."""
    array = np.asarray(plain.array, np.float64)
    if not array.ndim or (array == array.reshape(-1)[0]).all():
        return number(array.reshape(-1)[0])
    last = names[len(names) - array.ndim :]
    return forms.plain(array, [None if size == 1 else n for n, size in zip(last, array.shape, strict=True)])


def _sum(forms: Forms, operation: Sum, names: Names, _: Any, found: dict[int, Form]) -> Form:
    pairs = zip(operation.sources, operation.signs, strict=True)
    return forms.added([(found[source], float(sign)) for source, sign in pairs])


def _product(forms: Forms, operation: Product, names: Names, _: Any, found: dict[int, Form]) -> Form:
    first, second = (found[source] for source in operation.sources)
    return forms.product(first, second, None, str(operation.label))


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
    summed = [sources[0][d] for d in operation.summed[0] if sources[0][d] is not None]
    if len(summed) > 1:
        raise ValueError(
            "a contraction over several axes, which packing='tiles' has no rule for; join them to one axis "
            "before they are encrypted"
        )
    return forms.product(first, second, summed[0] if summed else None, str(operation.label))


def _reduction(
    forms: Forms, operation: Reduction, names: Names, sources: Sequence[Names], found: dict[int, Form]
) -> Form:
    form = found[operation.sources[0]]
    for axis in (sources[0][d] for d in operation.axes):
        form = form if axis is None else forms.total(form, axis, str(operation.label))
    return form


def _same(forms: Forms, operation: Operation, names: Names, _: Any, found: dict[int, Form]) -> Form:
    """Axes have names: where their order changes, or copies are made along one, nothing is done."""
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
}
