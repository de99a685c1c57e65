"""`compile_loop`: a JAX function that is one loop to a `LoopProgram`."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from fhejax.program.arguments import Encrypted, Plain, check_values
from fhejax.program.compiler import compile, described_arguments
from fhejax.program.loop_program import LoopProgram
from fhejax.program.run.interface import in_plain_types
from fhejax.program.tensor.loop_steps import LoopStep, arguments_of_turns, step_of
from fhejax.program.tensor.loops import Loop, find_loop
from fhejax.program.typical_sample import SampleCalls


def compile_loop(
    function: Callable, *arguments: Any, sample: Any = None, margin: float | None = None, **options: Any
) -> LoopProgram:
    """Turn a JAX function that is one loop into a program of one turn, which is called again and again.

    The loop is a `lax.scan`, or a `lax.fori_loop` between two whole numbers of Python, and all of the
    function. What goes round in it encrypted begins as encrypted arguments and comes back, by a bootstrap, at
    the level and scale that these have, as with `compile(carry=...)`: so a loop may be of any length. Its
    values must stay within the ranges of these arguments. What else turns read may be arguments, slices of
    arguments, of which each turn takes one, or plain arrays that the function closes over. What goes round in
    the clear, such as a count, is computed beforehand.

    Args:
        function: any such function of arrays.
        *arguments: their descriptions, as for `compile`. An argument of slices has the turns along its first
            axis, and its batch along another one.
        sample: typical arguments, as for `compile`, but whole ones. The loop is run on them in the clear;
            what goes round must stay within its range, and with a margin the values of all turns are bounded.
        margin: as for `compile`.
        **options: all others of `compile`, but for `carry`.

    Returns:
        A LoopProgram, as a Program: `report()`, `keygen()`, `encrypt()`, a call, `decrypt()`, `dry_run()`.

    Raises:
        ValueError: a function that is no such loop, with what was found; what goes round encrypted and does
            not begin as an encrypted argument, or leaves its range on the sample; and as `compile`.
        TypeError: options that are none. NotPolynomialError, TooDeepError, SecurityError: as `compile`.
    """
    if "carry" in options:
        raise TypeError("compile_loop was given carry=; leave it out, for it finds what goes round itself.")
    described, nesting = described_arguments(arguments)
    shapes = [jax.ShapeDtypeStruct(tuple(a.shape), a.dtype) for a in described]
    loop = find_loop(function, shapes, nesting)
    turn = step_of(loop, described)
    calls = None if sample is None else _calls(loop, turn, described, sample)
    step = compile(turn.function, *turn.arguments, carry=turn.carry, sample=calls, margin=margin, **options)
    return LoopProgram(step, turn, tuple(map(in_plain_types, described)), nesting)


def _calls(loop: Loop, turn: LoopStep, described: Sequence[Encrypted | Plain], sample: Any) -> SampleCalls:
    """The arguments of all turns where the loop begins with a sample."""
    encrypted = [a for a in described if isinstance(a, Encrypted)]
    given = sample if isinstance(sample, tuple) else (sample,)
    shapes = [np.shape(values) for values in given]
    if shapes != [tuple(a.shape) for a in encrypted]:
        raise ValueError(
            f"sample holds arrays of shapes {shapes}, and a loop runs on whole arguments; give one for each "
            f"encrypted argument, as a tuple: of shapes {[tuple(a.shape) for a in encrypted]}."
        )
    checked = [check_values(a, v) for a, v in zip(encrypted, given, strict=True)]
    return SampleCalls(arguments_of_turns(loop, turn, described, checked))
