"""Programs as files: equal halves, equal bits in another process, and bytes as in the report."""

import dataclasses
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from circuits import compiled, data, rows
from saved_programs import PROGRAMS, as_tuple, program, values

import fhejax
from fhejax.ckks.files import FormatError


def loaded(name, folder):
    saved = program(name)
    saved.save_server(folder / "server")
    saved.save_client(folder / "client")
    server = fhejax.load_server(folder / "server", allow_insecure=True)
    return server, fhejax.load_client(folder / "client", allow_insecure=True)


def same(first, second):
    assert jax.tree.structure(first) == jax.tree.structure(second)
    for a, b in zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


@pytest.mark.parametrize("name", PROGRAMS)
def test_loaded_halves_are_equal_and_give_equal_bits(name, tmp_path):
    server, client = loaded(name, tmp_path)
    own = program(name)
    same(server, own.server)
    assert client.report() == own.client.report()
    assert (client.interface, client.manifest) == (own.client.interface, own.client.manifest)
    secret, keys = client.keygen()
    sent = fhejax.from_bytes(fhejax.to_bytes(client.encrypt(secret, *values(name))), server.params)
    result = server(keys, *as_tuple(sent))
    same(result, own(keys, *as_tuple(sent)))
    returned = fhejax.from_bytes(fhejax.to_bytes(result), client.params)
    same(returned, result)
    found, clear = client.decrypt(secret, returned), own.clear(*values(name))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=0.01), found, clear)


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_bytes_of_files_are_those_of_the_report(name, tmp_path):
    client, server = program(name).client, program(name).server
    secret, keys = client.keygen()
    sent = client.encrypt(secret, *values(name))
    fhejax.save(tmp_path / "keys", keys)
    fhejax.save(tmp_path / "upload", sent)
    fhejax.save(tmp_path / "download", server(keys, *as_tuple(sent)))
    found = [(tmp_path / kind).stat().st_size for kind in ("keys", "upload", "download")]
    told = client.predictions
    assert found == [told.key_bytes, told.upload_bytes, told.download_bytes]
    assert len(fhejax.to_bytes(sent)) == told.upload_bytes
    same(fhejax.load(tmp_path / "keys", client.params), keys)


OTHER_PROCESS = """
import sys, jax, fhejax
folder = sys.argv[1]
server = fhejax.load_server(folder + "/server", allow_insecure=True)
keys = fhejax.load(folder + "/keys", server.params)
sent = fhejax.load(folder + "/upload", server.params)
fhejax.save(folder + "/download", server(keys, sent))
assert not {"circuits", "saved_programs", "flax"} & set(sys.modules)
"""


def test_another_process_without_the_function_gives_equal_bits(tmp_path):
    own = program("a network")
    loaded("a network", tmp_path)
    secret, keys = own.keygen()
    sent = own.encrypt(secret, *values("a network"))
    fhejax.save(tmp_path / "keys", keys)
    fhejax.save(tmp_path / "upload", sent)
    subprocess.run([sys.executable, "-c", OTHER_PROCESS, str(tmp_path)], check=True, timeout=300)
    same(fhejax.load(tmp_path / "download", own.params), own(keys, sent))


def words_of(array):
    """The forms in which a number could lie in a file: as 32 and 64 bits, and as text."""
    for value in np.asarray(array, np.float64).reshape(-1):
        yield from (np.float32(value).tobytes(), value.tobytes(), value.hex().encode(), repr(value).encode())


def hits(data, array):
    return sum(word in data for word in words_of(array))


def test_a_server_file_holds_no_secret_and_a_client_file_no_weights(tmp_path):
    first, second = data(4, 6), data(6, 3)
    own = compiled(lambda x: jnp.square(x @ first + 0.25) @ second, rows())
    own.save_server(tmp_path / "server")
    own.save_client(tmp_path / "client")
    server, client = ((tmp_path / half).read_bytes() for half in ("server", "client"))
    secret, _ = own.client.keygen()
    coefficients = np.asarray(secret.coefficients)
    forms = [coefficients.astype(kind).tobytes() for kind in (np.int8, np.int32)]
    forms += [np.asarray(secret.key_id).tobytes()]
    assert not any(form in server for form in forms)
    assert all(form in server + form for form in forms)
    integers = [leaf for leaf in own.leaves if leaf.dtype == jnp.int32]
    assert len(integers) == 2
    for weights in (first, second):
        assert hits(client, weights) == hits(server, weights) == 0
        assert hits(client + np.float32(weights[1, 2]).tobytes(), weights) == 1
        assert hits(client + float(weights[1, 2]).hex().encode(), weights) == 1
    for leaf in integers:
        assert np.asarray(leaf).tobytes() in server
        assert np.asarray(leaf).tobytes() not in client
    for step in own.plan.steps:  # which would tell the largest weight of each layer
        scale = getattr(step, "weight_scale", None)
        assert scale is None or hex(scale.mantissa).encode() not in client
    assert b"circuits.py" not in client
    assert b"test_program_files.py" not in client


def test_one_kind_of_file_is_not_read_as_another(tmp_path):
    server, client = loaded("a network", tmp_path)
    with pytest.raises(FormatError, match="a client program, and a server program was to be read"):
        fhejax.load_server(tmp_path / "client", allow_insecure=True)
    with pytest.raises(FormatError, match=r"which fhejax\.load_server reads"):
        fhejax.load(tmp_path / "server", client.params)
    with pytest.raises(FormatError, match="without security, being for tests only"):
        fhejax.load_server(tmp_path / "server")
    secret, keys = client.keygen()
    with pytest.raises(FormatError, match="and a client program was to be read"):
        fhejax.save(tmp_path / "keys", keys)
        fhejax.load_client(tmp_path / "keys", allow_insecure=True)
    sent = fhejax.to_bytes(client.encrypt(secret, *values("a network")))
    with pytest.raises(FormatError, match=r"which fhejax\.load reads"):
        fhejax.ckks.files.from_bytes(sent, client.params)
    with pytest.raises(FormatError, match=r"without parameters; give program\.params"):
        fhejax.from_bytes(sent)
    with pytest.raises(FormatError, match="give those they were made with"):
        fhejax.from_bytes(sent, fhejax.ckks.insecure_parameters(16, 2))
    with pytest.raises(TypeError, match="a SecretKey was to be written"):
        fhejax.save(tmp_path / "secret", secret)
    assert server.params == client.params


def test_what_cannot_be_saved_is_told(tmp_path):
    plain = compiled(lambda x, w: x @ w, rows(), fhejax.Plain((4, 3)))
    with pytest.raises(ValueError, match="a program with plain arguments was to be saved for a server"):
        plain.save_server(tmp_path / "server")
    plain.save_client(tmp_path / "client")
    client = fhejax.load_client(tmp_path / "client", allow_insecure=True)
    secret, keys = client.keygen()
    x, w = data(12, 4), data(4, 3)
    found = client.decrypt(secret, plain(keys, client.encrypt(secret, x), w))
    np.testing.assert_allclose(found, x @ w, atol=0.01)

    @jax.tree_util.register_dataclass
    @dataclasses.dataclass
    class Mine:
        x: object

    own = compiled(lambda m: m.x * 2, Mine(rows()))
    with pytest.raises(TypeError, match="an object of type Mine was to be written"):
        own.save_server(tmp_path / "server")
    assert "upload" in own.report()
    assert [path.name for path in tmp_path.iterdir()] == ["client"]


def test_seeds_are_expanded_once_or_by_the_call():
    own = program("a network")
    secret, keys = own.keygen()
    sent = own.encrypt(secret, *values("a network"))
    whole = sent.expanded()
    assert (sent.seeds.shape, whole.seeds) == ((1, 4, 8), None)
    assert whole.expanded() is whole
    assert whole.data.shape == (*sent.data.shape[:-3], 2, *sent.data.shape[-2:])
    same(own(keys, sent), own(keys, whole))
    assert len(np.unique(np.asarray(sent.seeds[0]), axis=0)) == 4
    np.testing.assert_allclose(own.decrypt(secret, sent), values("a network")[0], atol=1e-4)


def test_equal_values_are_masked_by_different_streams():
    """Entries of one array, arrays of one call, and two calls: no seed and no ciphertext twice."""
    own = program("nested")
    secret, _ = own.keygen()
    same_values = ({"x": np.zeros((12, 2)), "y": (np.zeros((12, 2)),)}, np.zeros((12, 2)))
    calls = [own.encrypt(secret, *same_values) for _ in range(2)]
    arrays = jax.tree.leaves(calls, is_leaf=lambda a: isinstance(a, fhejax.EncryptedArray))
    seeds = np.concatenate([np.asarray(a.seeds).reshape(-1, 8) for a in arrays])
    bodies = np.concatenate([np.asarray(a.data).reshape(len(a.data[0]), -1) for a in arrays])
    assert len(np.unique(seeds, axis=0)) == len(seeds) == 12
    assert len(np.unique(bodies, axis=0)) == 12


def test_keys_are_those_of_the_manifest():
    own = program("sums over the batch")
    _, keys = own.keygen()
    exponents = own.client.manifest.exponents(own.params)
    held = {**({0: keys.relinearisation} if keys.relinearisation else {}), **keys.rotations}
    assert {exponent: key.level for exponent, key in held.items()} == exponents


def test_a_server_in_tiles(tmp_path):
    whole = program("a network")
    plan = dataclasses.replace(whole.plan, tiles=(2,) * len(whole.plan.steps))
    tiled = dataclasses.replace(whole, plan=plan)
    tiled.save_server(tmp_path / "server")
    server = fhejax.load_server(tmp_path / "server", allow_insecure=True)
    assert server.plan.tiles == plan.tiles
    secret, keys = whole.keygen()
    upload = whole.encrypt(secret, *values("a network"))
    np.testing.assert_array_equal(server(keys, upload).data, whole(keys, upload).data)
    for wrong in ((2,), (3,) * len(plan.steps), (0,) * len(plan.steps)):
        broken = dataclasses.replace(whole, plan=dataclasses.replace(plan, tiles=wrong))
        broken.save_server(tmp_path / "broken")
        with pytest.raises(FormatError, match="tiles"):
            fhejax.load_server(tmp_path / "broken", allow_insecure=True)
