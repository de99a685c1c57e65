"""Arrays as linear combinations of what has to be computed: arguments, products, and sums over axes.

Factors that are numbers are carried along until a result or a mask takes them, so that they cost no level;
products that share a factor are one: z e + z e + e, which the gradient of a square is, become
2 (z + 1/2) e.
"""

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from fhejax.program.packing.tiles.names import Names

Key = tuple[Any, ...]


@dataclasses.dataclass(frozen=True, eq=False)
class Form:
    """A linear combination of atoms, plus plain numbers, on some named axes.

    Attributes:
        axes: the names, in order.
        terms: the coefficient of each atom, by its number.
        constant: float64, one dimension for each axis, of its size or one.
    """

    axes: tuple[int, ...]
    terms: Mapping[int, float]
    constant: np.ndarray

    @property
    def key(self) -> Key:
        """What equal forms have in common, and no others."""
        constant = self.constant + 0.0  # for which 0.0 and -0.0 are one
        return self.axes, tuple(sorted(self.terms.items())), constant.shape, constant.tobytes()

    @property
    def is_plain(self) -> bool:
        """Whether no argument decides the form."""
        return not self.terms

    @property
    def lead(self) -> float:
        """The coefficient of the largest magnitude, by which products divide their factors."""
        return max(self.terms.values(), key=abs, default=1.0)

    def times(self, factor: float) -> "Form":
        """The form times a number."""
        terms = {atom: c * factor for atom, c in self.terms.items()} if factor else {}
        return dataclasses.replace(self, terms=terms, constant=self.constant * factor)


@dataclasses.dataclass(frozen=True, eq=False)
class ArgumentAtom:
    """The normalised numbers of an argument.

    Attributes:
        argument: its number.
        axes: its named axes, in the order of its dimensions.
        label: of the argument.
        steps: of each axis, the dimension of `shape` along which it runs, and by how many entries.
        shape: with the argument's entries in their order; where a dimension joins axes, each has its own.
        starts: the index of each dimension's first entry: below zero where patches begin in padding.
        windowed: the axes of patches, two or more of which run along a dimension; beyond their ends images
            may go on.
    """

    argument: int
    axes: tuple[int, ...]
    label: str
    steps: tuple[tuple[int, int], ...]
    shape: tuple[int, ...]
    starts: tuple[int, ...]
    windowed: frozenset[int] = frozenset()


@dataclasses.dataclass(frozen=True, eq=False)
class ProductAtom:
    """The product of two forms, or its sum over some axes.

    Attributes:
        factors: of lead one; the first may be plain.
        summed: the names of the axes, in order.
        axes: of the result.
    """

    factors: tuple[Form, Form]
    summed: tuple[int, ...]
    axes: tuple[int, ...]
    label: str


@dataclasses.dataclass(frozen=True, eq=False)
class TotalAtom:
    """The sum of a form over some axes.

    Attributes:
        form: of lead one and without plain numbers.
        summed: the names of the axes, in order.
        axes: of the result.
    """

    form: Form
    summed: tuple[int, ...]
    axes: tuple[int, ...]
    label: str


Atom = ArgumentAtom | ProductAtom | TotalAtom


class Forms:
    """The atoms of a function, each once; it lives no longer than the packing of one graph.

    Attributes:
        atoms: in order: each is made of those before it.
        sizes: of the named axes.
    """

    def __init__(self, sizes: Mapping[int, int]) -> None:
        self.sizes = sizes
        self.atoms: list[Atom] = []
        self._numbers: dict[Key, int] = {}

    def of_atom(self, key: Key, atom: Atom) -> Form:
        """The form that an atom is, which is new unless one of the same key is known."""
        if key not in self._numbers:
            self._numbers[key] = len(self.atoms)
            self.atoms.append(atom)
        return self.single(self._numbers[key])

    def single(self, atom: int) -> Form:
        """The form of one atom, times one."""
        axes = tuple(sorted(self.atoms[atom].axes))
        return Form(axes, {atom: 1.0}, np.zeros((1,) * len(axes)))

    def plain(self, array: np.ndarray, names: Names) -> Form:
        """The form of plain numbers, whose dimensions have these names."""
        kept = [name for dimension in names for name in dimension]
        order = np.argsort(kept, kind="stable")
        held = np.asarray(array, np.float64).reshape([self.sizes[n] for n in kept]).transpose(order)
        return Form(tuple(sorted(kept)), {}, held)

    def added(self, forms: Iterable[tuple[Form, float]]) -> Form:
        """The sum of forms times numbers, in which products that share a factor are one."""
        pairs = list(forms)
        axes = tuple(sorted({axis for form, _ in pairs for axis in form.axes}))
        terms: dict[int, float] = {}
        constant = np.zeros((1,) * len(axes))
        for form, factor in pairs:
            for atom, coefficient in form.terms.items():
                terms[atom] = terms.get(atom, 0.0) + factor * coefficient
            constant = constant + factor * widened(form, axes)
        kept = {atom: c for atom, c in terms.items() if c}
        return self._factored(Form(axes, kept, constant))

    def product(self, first: Form, second: Form, summed: Sequence[int], label: str) -> Form:
        """The product of two forms, summed over some axes or none.

        Args:
            first: one factor.
            second: the other.
            summed: the names of the axes. Where no factor has one, the product is added up so often.
            label: of the operation.
        """
        lacking = [axis for axis in summed if axis not in first.axes and axis not in second.axes]
        if lacking:
            held = [axis for axis in summed if axis not in lacking]
            return self.product(first, second, held, label).times(self._size(lacking))
        if second.is_plain:
            first, second = second, first
        if first.is_plain and first.constant.size == 1 and not summed:
            product = second.times(float(first.constant.reshape(())))
            return self.added([(product, 1.0), (self._zero(first.axes), 1.0)])
        if first.is_plain and second.is_plain:
            raise ValueError("a product of two plain arrays is no form of an encrypted one.")
        leads = first.lead, second.lead
        factors = first.times(1 / leads[0]), second.times(1 / leads[1])
        factors = factors if first.is_plain else tuple(sorted(factors, key=lambda form: repr(form.key)))
        axes = tuple(sorted({*first.axes, *second.axes} - {*summed}))
        over = tuple(sorted(summed))
        key = ("product", *(factor.key for factor in factors), over)
        found = self.of_atom(key, ProductAtom((factors[0], factors[1]), over, axes, label))
        return found.times(leads[0] * leads[1])

    def _size(self, axes: Sequence[int]) -> int:
        return math.prod(self.sizes[axis] for axis in axes)

    def total(self, form: Form, summed: Sequence[int], label: str) -> Form:
        """The sum of a form over some axes."""
        lacking = [axis for axis in summed if axis not in form.axes]
        over = tuple(sorted({*summed} - {*lacking}))
        form = form.times(self._size(lacking))
        if not over:
            return form
        axes = tuple(name for name in form.axes if name not in over)
        places = [place for place, name in enumerate(form.axes) if name in over]
        times = self._size([form.axes[p] for p in places if form.constant.shape[p] == 1])
        constant = Form(axes, {}, form.constant.sum(tuple(places)) * times)
        if form.is_plain:
            return constant
        lead = form.lead
        inner = dataclasses.replace(form.times(1 / lead), constant=np.zeros((1,) * len(form.axes)))
        found = self.of_atom(("total", inner.key, over), TotalAtom(inner, over, axes, label))
        return self.added([(found, lead), (constant, 1.0)])

    def polynomial(self, x: Form, coefficients: Sequence[float], label: str) -> Form:
        """The polynomial of a form, its coefficients by rising powers, in the fewest levels.

        p(x) = q(x) + x^k r(x), with k the largest power of two that leaves the halves no higher a degree.
        """
        if len(coefficients) <= 2:
            slope = float(coefficients[1]) if len(coefficients) > 1 else 0.0
            return self.added([(number(coefficients[0]), 1.0), (x, slope)])
        half = 2 ** ((len(coefficients) - 1).bit_length() - 1)
        power = x
        for _ in range(half.bit_length() - 1):
            power = self.product(power, power, (), label)
        halves = coefficients[:half], coefficients[half:]
        low, high = (self.polynomial(x, part, label) for part in halves)
        return self.added([(low, 1.0), (self.product(high, power, (), label), 1.0)])

    def _zero(self, axes: tuple[int, ...]) -> Form:
        return Form(axes, {}, np.zeros((1,) * len(axes)))

    def _factored(self, form: Form) -> Form:
        """The form in which products that share a factor, and that factor itself, are one product."""
        shared = self._shared_factor(form)
        if shared is None:
            return form
        factor, members = shared
        others = [(self._cofactor(atom, factor.key), form.terms[atom]) for atom in members]
        label = next(a.label for a in map(self.atoms.__getitem__, members) if isinstance(a, ProductAtom))
        product = self.product(self.added(others), factor, (), label)
        rest = {atom: c for atom, c in form.terms.items() if atom not in members}
        return self.added([(dataclasses.replace(form, terms=rest), 1.0), (product, 1.0)])

    def _shared_factor(self, form: Form) -> tuple[Form, list[int]] | None:
        """A factor of several terms, and these; one of them may be the factor itself."""
        groups: dict[Key, tuple[Form, list[int]]] = {}
        for place in form.terms:
            atom = self.atoms[place]
            own = [self.single(place)]
            if isinstance(atom, ProductAtom) and not atom.summed:
                own += [factor for factor in atom.factors if not factor.is_plain]
            for factor in {one.key: one for one in own}.values():
                groups.setdefault(factor.key, (factor, []))[1].append(place)
        return next((group for group in groups.values() if len(group[1]) > 1), None)

    def _cofactor(self, place: int, factor: Key) -> Form:
        """What a term is divided by a factor of it."""
        atom = self.atoms[place]
        if self.single(place).key == factor or not isinstance(atom, ProductAtom):
            return number(1.0)
        first, second = atom.factors
        return second if first.key == factor else first


def number(value: float) -> Form:
    """The form of one plain number."""
    return Form((), {}, np.asarray(value, np.float64))


def widened(form: Form, axes: Sequence[int]) -> np.ndarray:
    """The plain numbers of a form, with a dimension for each of more axes."""
    sizes = dict(zip(form.axes, np.shape(form.constant), strict=True))
    return np.reshape(form.constant, [sizes.get(axis, 1) for axis in axes])
