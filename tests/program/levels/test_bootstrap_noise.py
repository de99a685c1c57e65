"""What a bootstrap is said to add, to the planner."""

from test_carry import parameters

from fhejax.program.levels.bootstrap_noise import bootstrap_deviation


def test_the_prediction_is_always_the_same():
    """It decides on plans, and a run is resumed by the same one in another process."""
    found = {bootstrap_deviation.__wrapped__(parameters()) for _ in range(2)}
    assert len(found) == 1
    assert 1e-10 < found.pop() < 1e-6
