"""What a function of ciphertexts really does, counted in its jaxpr: kernels are calls with names."""

import collections
import contextlib
import math

import jax

from fhejax.ring import modular

_KNOWN = {"forward", "inverse", "convert_basis", "permute", "marked_sums", "_tensor", "_square_tensor"}


def _limbs(variable):
    return math.prod(variable.aval.shape[:-1])


def _called(equation):
    """(jaxpr, how many times it is run) of what an equation calls."""
    times = equation.params["length"] if equation.primitive.name == "scan" else 1
    for value in equation.params.values():
        for inner in value if isinstance(value, tuple | list) else [value]:
            inner = getattr(inner, "jaxpr", inner)
            if hasattr(inner, "eqns"):
                yield inner, times


def counted(jaxpr, times=1, found=None):
    """The limbs of each known kernel in a jaxpr, those of loops as often as they are run."""
    found = collections.Counter() if found is None else found
    for equation in jaxpr.eqns:
        name = equation.params.get("name", "")
        if name in _KNOWN:
            _add(found, name, equation, times)
            continue
        for inner, repeats in _called(equation):
            counted(inner, times * repeats, found)
    return found


def _add(found, name, equation, times):
    first, out = equation.invars[0], equation.outvars[0]
    if name in ("forward", "inverse"):
        found["transforms"] += times * _limbs(first)
    elif name == "convert_basis":
        sources, targets = (variable.aval.shape[-2] for variable in (first, out))
        batch = math.prod(first.aval.shape[:-2])
        found["conversions"] += times * batch * sources * (targets + 1)
    elif name == "permute":
        found["permuted"] += times * _limbs(first)
    elif name == "marked_sums":
        terms = equation.params["jaxpr"].jaxpr.outvars[1:]
        found["sums"] += times * sum(map(_limbs, terms))
    else:
        found["tensors"] += times * math.prod(first.aval.shape[:-3])


@contextlib.contextmanager
def marked():
    """Sums of products of residues are calls with a name of their own, whose products can be counted."""
    original = modular.multiply_and_sum

    def replaced(terms, moduli, total=None):
        def marked_sums(terms, total):
            products = [jax.numpy.broadcast_arrays(*term)[0] for term in terms]
            return original(terms, moduli, total), *products

        return jax.jit(marked_sums)(list(terms), total)[0]

    jax.clear_caches()
    modular.multiply_and_sum = replaced
    try:
        yield
    finally:
        modular.multiply_and_sum = original
        jax.clear_caches()
