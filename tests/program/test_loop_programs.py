"""Loops of fixed length whose turns are calls of one program."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from test_carry import MODEL, SLOTS, data, described, parameters, step

import fhejax as fhe

TURNS = 4
RATES = np.array([0.5, 0.25, 0.125, 0.75], np.float32)
STATE = fhe.Encrypted((SLOTS, 2))
SMALL = {"insecure_log_degree": 6, "precision_bits": 5}


def compiled(function, *arguments, **options):
    return fhe.compile_loop(function, *arguments, bootstrapping=parameters(), **SMALL, **options)


def values(seed, *shape):
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32)


def train(model, x, y):
    return lax.fori_loop(0, TURNS, lambda _, model: step(model, x, y), model)


@functools.cache
def training():
    return compiled(train, *described(), sample=(np.zeros(()), np.zeros(3), *data()), margin=4)


@functools.cache
def kept():
    """A random key that a client keeps."""
    return fhe.ckks.random_key()


def client():
    """The keys and arguments of a client, which makes them again when it is asked again."""
    secret, keys = training().keygen(random=jax.random.fold_in(kept(), 0))
    return secret, keys, training().encrypt(secret, MODEL, *data(), random=jax.random.fold_in(kept(), 1))


@functools.cache
def run():
    """Keys, arguments, and the result of one run."""
    secret, keys, arguments = client()
    return secret, keys, arguments, training()(keys, *arguments)


def error(found, wanted):
    return float(np.sqrt(np.mean((np.asarray(found) - np.asarray(wanted)) ** 2)))


def test_a_training_loop_ends_as_in_the_clear():
    secret, _, _, result = run()
    found, wanted = training().decrypt(secret, result), train(MODEL, *data())
    for name in MODEL:
        np.testing.assert_allclose(found[name], wanted[name], atol=1e-4)
        np.testing.assert_allclose(training().clear(MODEL, *data())[name], wanted[name], atol=1e-6)
        np.testing.assert_allclose(training().simulate(MODEL, *data())[name], wanted[name], atol=1e-4)


def test_every_turn_is_as_precise_as_its_dry_run_says(tmp_path):
    program, (secret, keys, arguments, _) = training(), run()
    program(keys, *arguments, folder=tmp_path)
    steps = program.dry_run(MODEL, *data())
    assert len(steps) == TURNS
    for number, predicted in enumerate(steps, 1):
        found = program.step.decrypt(secret, fhe.load(tmp_path / f"turn-{number:06}.fhe", program.params))
        pairs = zip(found, jax.tree.leaves(predicted.results), strict=True)
        errors = [error(*pair) for pair in pairs]
        assert np.linalg.norm(errors) < 3 * np.linalg.norm(predicted.predicted_errors)


def test_a_loop_is_its_step_with_carry():
    def loop(x, y):
        return lax.scan(lambda x, _: (turn(x, y), None), x, None, length=3)[0]

    def turn(x, y):
        return 0.5 * x * x - 0.25 * y

    program = compiled(loop, STATE, STATE)
    by_hand = fhe.compile(turn, STATE, STATE, carry=0, bootstrapping=parameters(), **SMALL)
    assert program.step.plan == by_hand.plan
    same_leaves(program.step.leaves, by_hand.leaves)
    secret, keys = program.keygen()
    state, y = arguments = program.encrypt(secret, values(1, SLOTS, 2), values(2, SLOTS, 2))
    for _ in range(3):
        state = by_hand(keys, state, y)
    same_leaves(state, program(keys, *arguments))


def same_leaves(found, wanted, atol=0.0):
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=0, atol=atol)


class Killed(BaseException):
    """What a run is stopped by."""


def test_a_run_that_is_killed_goes_on_to_the_same_bytes(tmp_path):
    program, (_, keys, arguments, wanted) = training(), run()

    def killed_in_turn_3(turns):
        for number in turns:
            if number == 3:
                raise Killed
            yield number

    with pytest.raises(Killed):
        program(keys, *arguments, folder=tmp_path, progress=killed_in_turn_3)
    times = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert sorted(times) == ["run.sha256", "turn-000001.fhe", "turn-000002.fhe"]
    _, keys, arguments = client()
    result = program(keys, *arguments, folder=tmp_path)
    assert fhe.to_bytes(result) == fhe.to_bytes(wanted)
    assert {name: (tmp_path / name).stat().st_mtime_ns for name in times} == times
    assert len(list(tmp_path.glob("turn-*.fhe"))) == TURNS


def test_a_folder_of_another_run_is_refused(tmp_path):
    program, (secret, keys, arguments, _) = training(), run()
    (tmp_path / "turn-000001.fhe").write_bytes(b"")
    with pytest.raises(ValueError, match="holds turns or results of an unknown run"):
        program(keys, *arguments, folder=tmp_path)
    program(keys, *arguments, folder=tmp_path / "run")
    others = program.encrypt(secret, MODEL, *data())
    with pytest.raises(ValueError, match="another program, or with other keys or arguments"):
        program(keys, *others, folder=tmp_path / "run")
    (tmp_path / "run" / "turn-000004.fhe").write_bytes(b"nothing")
    with pytest.raises(fhe.ckks.files.FormatError):
        program(keys, *arguments, folder=tmp_path / "run")


def test_the_bytes_of_files_are_those_of_the_report(tmp_path):
    program, (_, _, arguments, result) = training(), run()
    assert len(fhe.to_bytes(arguments)) == program.client.predictions.upload_bytes
    assert len(fhe.to_bytes(result)) == program.client.predictions.download_bytes
    text = program.report()
    assert "4 turns, each a call of the program below" in text
    assert "goes round    argument 0['bias'], argument 0['weights']" in text
    assert "4 turns" in repr(program)
    elsewhere = program.report(device="sharp")
    assert "4 turns, each a call of the program below" in elsewhere
    assert "SHARP (asic, simulated)" in elsewhere and "1 bootstrap; " in elsewhere


def batches(model, x, y):
    """Each turn learns from another batch; returned are the predictions of every turn, and the rates."""

    def turn(model, batch):
        x, y, rate = batch
        predicted = x @ model["weights"] + model["bias"]
        gradient = {"weights": x.T @ (predicted - y) / SLOTS, "bias": jnp.mean(predicted - y)}
        return jax.tree.map(lambda p, g: p - rate * g, model, gradient), (predicted, rate)

    return lax.scan(turn, model, (x, y, jnp.asarray(RATES)))


def test_turns_take_slices_of_encrypted_and_of_plain_arrays(tmp_path):
    x = values(3, TURNS, SLOTS, 3)
    y = (x @ np.array([0.4, -0.3, 0.2], np.float32)).astype(np.float32)
    arguments = described()[0], fhe.Encrypted(x.shape, batch_axis=1), fhe.Encrypted(y.shape, batch_axis=1)
    program = compiled(batches, *arguments, sample=(np.zeros(()), np.zeros(3), x, y), margin=4)
    assert len(program.turn.known) == 1
    secret, keys = program.keygen()
    encrypted = program.encrypt(secret, MODEL, x, y)
    assert encrypted[1].shape == x.shape
    assert len(fhe.to_bytes(encrypted)) == program.client.predictions.upload_bytes
    result = program(keys, *encrypted, folder=tmp_path)
    same_leaves(result, program(keys, *encrypted, folder=tmp_path))
    wanted = batches(MODEL, x, y)
    for found in (program.decrypt(secret, result), program.clear(MODEL, x, y)):
        jax.tree.map(functools.partial(np.testing.assert_allclose, atol=1e-3), found, tuple(wanted))
    np.testing.assert_array_equal(program.decrypt(secret, result)[1][1], RATES)
    for predicted in program.dry_run(MODEL, x, y)[-1:]:
        jax.tree.map(
            functools.partial(np.testing.assert_allclose, atol=1e-5), predicted.results[0], wanted[0]
        )
        assert len(predicted.predicted_errors) == 3
    program.save_client(tmp_path / "client")
    client = fhe.load_client(tmp_path / "client", allow_insecure=True)
    again = client.encrypt(secret, MODEL, x, y)
    same_leaves(client.decrypt(secret, again), (MODEL, x.astype(np.float64), y), atol=1e-6)
    same_leaves(np.stack(client.decrypt(secret, result[1][0])), program.decrypt(secret, result)[1][0])
    with pytest.raises(ValueError, match="a tuple of 4 results"):
        program.decrypt(secret, (result[0], (result[1][0][:2], result[1][1])))
    with pytest.raises(ValueError, match="turns take slices of one of shape"):
        program(keys, encrypted[0], encrypted[2], encrypted[2])


def decaying(x):
    """Goes from the last slice to the first, with a rate and a count that go round in the clear."""

    def turn(carry, column):
        x, rate, count = carry
        x = x * rate + column[jnp.minimum(count, 1)]
        return (x, rate * 0.5, count + 1), (count, x)

    start = x, jnp.float32(0.75), jnp.int32(0)
    return lax.scan(turn, start, jnp.asarray(values(5, 3, 2) / 4), reverse=True)


def test_what_goes_round_in_the_clear_is_known_beforehand():
    program = compiled(decaying, STATE, sample=values(4, SLOTS, 2) / 4)
    x = values(6, SLOTS, 2) / 4
    secret, keys = program.keygen()
    found, wanted = program.decrypt(secret, program(keys, program.encrypt(secret, x))), decaying(x)
    (state, rate, count), (counts, states) = found
    assert (float(rate), int(count)) == (0.75 / 8, 3)
    np.testing.assert_array_equal(counts, [2, 1, 0])
    np.testing.assert_allclose(state, wanted[0][0], atol=1e-3)
    np.testing.assert_allclose(states, wanted[1][1], atol=1e-3)


def given(x, weights, factors):
    return lax.scan(lambda x, factor: (x * factor + weights[None], None), x, factors)[0]


def test_plain_arguments_and_their_slices():
    program = compiled(given, STATE, fhe.Plain((2,), range=(-0.25, 0.25)), fhe.Plain((3,), range=(-0.5, 0.5)))
    x, weights, factors = values(7, SLOTS, 2), values(8, 2) / 4, values(9, 3) / 2
    secret, keys = program.keygen()
    result = program(keys, program.encrypt(secret, x), weights, factors)
    wanted = given(x, weights, factors)
    np.testing.assert_allclose(program.decrypt(secret, result), wanted, atol=5e-3)
    np.testing.assert_allclose(program.dry_run(x, weights, factors)[-1].results, wanted, atol=1e-5)


def test_an_inner_loop_is_unrolled():
    def loop(x):
        def turn(x, _):
            return lax.fori_loop(0, 2, lambda _, y: 0.5 * y * x, x), None

        return lax.scan(turn, x, None, length=2)[0]

    x = values(10, SLOTS, 2)
    np.testing.assert_allclose(compiled(loop, STATE).clear(x), loop(x), atol=1e-6)


def scanned(turn, length=2):
    return lambda x: lax.scan(turn, x, None, length=length)


def square(x, _):
    return x * x, None


REFUSED = {
    "no loop": (lambda x: x * x, "found mul .* on argument 0 outside of the loop; do that in the body"),
    "nothing": (lambda x: jnp.ones(3), "found no loop in the function"),
    "before": (
        lambda x: scanned(square)(2 * x),
        r"found mul \(test_loop_programs.py:\d+\) on argument 0 outside",
    ),
    "comparison before": (lambda x: scanned(square)(jnp.sort(x, 1)), "found sort .*; do without it"),
    "after": (lambda x: scanned(square)(x)[0] + 1, "found add .* on what the loop returns"),
    "two loops": (lambda x: scanned(square)(scanned(square)(x)[0]), "found a second loop"),
    "no turns": (lambda x: lax.fori_loop(0, 0, lambda i, x: x * x, x), "has no turns"),
    "unknown end": (
        lambda x: lax.while_loop(lambda x: x.sum() > 0, lambda x: x * x, x),
        r"a loop of unknown length \(test_loop_programs.py:\d+\)",
    ),
    "other shape": (
        scanned(lambda x, _: (x[:, :1], None)),
        "other shapes, types or nesting than it is given",
    ),
    "other shape of a count": (
        lambda x: lax.fori_loop(0, 2, lambda i, x: x[:, :1], x),
        "other shapes, types or nesting than it is given",
    ),
    "plain at first": (
        lambda x: lax.scan(lambda v, _: ((v[0] * 0.5, v[1] + v[0]), None), (x, x * 0 + 0), None, length=2),
        "found mul",
    ),
    "zeros at first": (
        lambda x: lax.scan(
            lambda v, _: ((v[0] * 0.5, v[1] + v[0]), None), (x, jnp.zeros((SLOTS, 2))), None, length=2
        ),
        r"as number 1 is encrypted after some turns, and begins as a plain array of shape \(16, 2\)",
    ),
    "used twice": (lambda x: lax.scan(lambda y, _: (y * x, None), x, None, length=2), "as two arguments"),
    "no state": (lambda x: lax.scan(lambda _, c: (0, c * c), 0, x.T), "found transpose"),
    "samples one by one": (
        lambda x: lax.scan(lambda t, c: (t + c, t), jnp.zeros(2), x),
        "encrypted after some turns, and begins as a plain array",
    ),
    "the argument": (lambda x: (scanned(square)(x)[0], x), "returns its argument 0 as it is"),
    "nothing from turn to turn": (
        lambda x: lax.fori_loop(0, 2, lambda i, x: jnp.ones((SLOTS, 2)) * i.astype(jnp.float32), x),
        "no result of the function depends on an encrypted argument",
    ),
    "not polynomial": (scanned(lambda x, _: (jnp.tanh(x), None)), r"test_loop_programs.py:\d+: tanh"),
    "a wider range": (
        scanned(lambda x, _: (3 * x, None)),
        r"turn 1 .*argument 0 in .* declare a wider range",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_such_loop_is_refused(name):
    function, message = REFUSED[name]
    with pytest.raises(ValueError, match=message):
        compiled(function, STATE, sample=np.ones((SLOTS, 2)))


def noisy(x):
    """What goes round is a key of randomness, too."""

    def turn(carry, _):
        x, key = carry
        now, later = jax.random.split(key)
        return (x * jax.random.uniform(now), later), None

    return lax.scan(turn, (x, jax.random.key(0)), None, length=2)[0]


def test_what_goes_round_is_refused_by_its_kind():
    def loop(x, y):
        return lax.scan(lambda v, _: ((v[0] * v[1], v[1] * 0.5), None), (x, y), None, length=2)[0]

    with pytest.raises(ValueError, match=r"computed in the clear from fhejax.Plain arguments"):
        compiled(loop, STATE, fhe.Plain((SLOTS, 2)))
    with pytest.raises(ValueError, match=r"begins as argument 0, which is plain"):
        compiled(loop, fhe.Plain((SLOTS, 2)), STATE)
    with pytest.raises(ValueError, match=r"nothing encrypted goes round"):
        compiled(
            lambda x: lax.scan(lambda n, c: (n + 1, c * c), 0, x), fhe.Encrypted((3, SLOTS), batch_axis=1)
        )
    with pytest.raises(ValueError, match=r"along axis 0, which is its batch axis"):
        compiled(
            lambda w, x: lax.scan(lambda w, c: (w * c, None), w, x),
            fhe.Encrypted((2,), batch_axis=None),
            STATE,
        )
    with pytest.raises(ValueError, match=r"computes with key<.*>, a key of randomness"):
        compiled(noisy, STATE)


def test_options_and_samples_that_do_not_fit_are_refused():
    with pytest.raises(TypeError, match="finds what goes round"):
        compiled(train, *described(), carry=0)
    with pytest.raises(ValueError, match="a loop runs on whole arguments"):
        compiled(train, *described(), sample=(np.zeros(()), np.zeros(3), np.zeros((SLOTS, 3))))


def test_a_dry_run_says_which_turn_leaves_the_range():
    program = compiled(scanned(lambda x, _: (1.5 * x, None), 3), STATE)
    assert len(program.dry_run(np.full((SLOTS, 2), 0.25))) == 3
    with pytest.raises(ValueError, match=r"call 3 of the dry run: .* declare a wider range"):
        program.dry_run(np.full((SLOTS, 2), 0.375))
    with pytest.raises(ValueError, match=r"turn 3 of the loop in the clear"):
        program.clear(np.full((SLOTS, 2), 0.5))
