"""Sixty random networks, encrypted: within the promise or refused, never wrong in silence.

`python -m benchmarks.random_programs` runs thousands, and a failing one alone by `--only SEED`.
"""

import pytest

from benchmarks import random_programs
from benchmarks.random_networks import make_example
from benchmarks.random_verdicts import (
    FAILURES,
    PASSED,
    REFUSED_WRONGLY,
    judge,
    judge_simulation,
)

EXAMPLES = range(60)
COMPILED = range(1000, 1200)
LARGEST_SHARE_REFUSED_WRONGLY = 0.1


@pytest.mark.parametrize("seed", EXAMPLES)
def test_a_program_keeps_its_promise_or_is_refused(seed):
    verdict = judge(make_example(seed))
    assert verdict.outcome not in FAILURES, f"{verdict.sentence}; {verdict.description}"


def test_simulations_keep_the_promise_and_refusals_are_rare():
    verdicts = [judge_simulation(make_example(seed)) for seed in COMPILED]
    failed = [v for v in verdicts if v.outcome in FAILURES]
    assert not failed, random_programs.summary(failed)
    refused = [v for v in verdicts if v.outcome == REFUSED_WRONGLY]
    assert len(refused) <= LARGEST_SHARE_REFUSED_WRONGLY * len(COMPILED), random_programs.summary(refused)
    assert sum(v.outcome == PASSED for v in verdicts) > len(COMPILED) / 2
