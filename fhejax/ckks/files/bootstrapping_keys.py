"""The file of bootstrapping keys: written as they are made, so that no machine has to hold them all twice.

A set of containers as `wire_format` describes: two switching keys, to the sparse secret (under parameters of
its own, see `encapsulation_parameters`) and back, then the evaluation keys. The encoded matrices are not in
it: they are the same for all users, and made again by `bootstrapping_circuit`.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import jax

from fhejax.ckks.bootstrapping.bootstrap_circuit import (
    SPARSE_KEYS,
    BootstrappingCircuit,
    BootstrappingKeys,
    check_evaluation_keys,
    generate_bootstrapping_keys,
)
from fhejax.ckks.bootstrapping.encapsulation import TO_DENSE, TO_SPARSE, encapsulation_parameters
from fhejax.ckks.bootstrapping.parameters import BootstrappingParameters
from fhejax.ckks.files.atomic_file import replaced
from fhejax.ckks.files.container import HEADER, FormatError, Header, Kind, Source, read_payload, unpack_header
from fhejax.ckks.files.object_format import Part, build_object, key_id, pack_object, words
from fhejax.ckks.files.serialisation import (
    check_length,
    finish_set,
    opened,
    pack_members,
    read_members,
    write_set,
)
from fhejax.ckks.identity import switching_identity
from fhejax.ckks.keys.manifest import KeyManifest
from fhejax.ckks.parameters.parameters import Parameters
from fhejax.ckks.types import EvaluationKeys, Progress, SecretKey, SwitchingKey


def save_bootstrapping_keys(
    path: str | os.PathLike,
    key: jax.Array,
    secret: SecretKey,
    parameters: BootstrappingParameters,
    manifest: KeyManifest | None = None,
    *,
    progress: Progress | None = None,
) -> None:
    """Make the keys of a bootstrap and write them one after another; one of them is in memory at a time.

    They are those of `bootstrapping_keys` for the same random key. The file appears whole or not at all, and
    holds no secret.

    Args:
        path: of the file, which `load_bootstrapping_keys` reads.
        key: cryptographic random key, used once.
        secret: stays with the client.
        parameters: of the bootstrap; the matrices are not needed.
        manifest: more keys, for the circuit between bootstraps.
        progress: called with (keys made, keys in all) after each.

    Raises:
        ValueError: a random key that is not cryptographic, or a secret of other parameters. OSError.
    """
    keys = generate_bootstrapping_keys(key, secret, parameters, manifest, progress)
    params, identity = parameters.params, words(secret.key_id)
    weight = (parameters.hamming_weight,)
    header = Header(Kind.BOOTSTRAPPING_KEYS, params.fingerprint, key_id=identity, batch=weight)
    with replaced(Path(path), 0o666) as stream:
        write_set(stream, header, params, _pack(header, params, keys))


def _pack(
    header: Header, params: Parameters, keys: Iterator[tuple[str | int, SwitchingKey]]
) -> Iterator[tuple[Header, list[Part]]]:
    for _ in SPARSE_KEYS:
        yield pack_object(next(keys)[1])
    # Those that are left have numbers. A loop that looked would keep a key while the next one is made.
    yield from pack_members(header, params, cast(Iterator[tuple[int, SwitchingKey]], keys))


def load_bootstrapping_keys(
    path: str | os.PathLike, circuit: BootstrappingCircuit, *, progress: Progress | None = None
) -> BootstrappingKeys:
    """Read what `save_bootstrapping_keys` wrote, one key after another.

    Args:
        path: of the file; nothing in it is trusted.
        circuit: from `bootstrapping_circuit`, of the same parameters.
        progress: called with (keys read, keys in all) after each.

    Raises:
        FormatError: a file of another kind, of other parameters, without keys that this circuit needs, cut
            short or altered. OSError.
    """
    parameters, report = circuit.parameters, progress or (lambda done, total: None)
    with opened(path) as source:
        header = unpack_header(source.read(HEADER.size))
        _check_header(header, source, parameters)
        switches, sums = _read_sparse_keys(source, parameters.params, header.key_id)
        before, total = len(sums), header.batch[0]
        report(before, total)
        found, others = read_members(
            source, header, parameters.params, total - before, lambda done, _: report(before + done, total)
        )
        finish_set(source, header, [*sums, *others])
    evaluation = EvaluationKeys(found.pop(0, None), found, key_id(header), parameters.params)
    _check_complete(evaluation, parameters)
    return BootstrappingKeys(circuit, evaluation, *switches)


def _check_header(header: Header, source: Source, parameters: BootstrappingParameters) -> None:
    if header.kind != Kind.BOOTSTRAPPING_KEYS:
        raise FormatError(f"the file holds {header.kind.one} and no bootstrapping keys; load reads it.")
    header.check(parameters.params)
    check_length(source, header)
    if header.batch[1] != parameters.hamming_weight:
        raise FormatError(
            f"the keys are for a sparse secret of weight {header.batch[1]}, and the circuit is for one "
            f"of weight {parameters.hamming_weight}; give the circuit that they were made for."
        )


def _read_sparse_keys(
    source: Source, params: Parameters, identity: bytes
) -> tuple[list[SwitchingKey], list[bytes]]:
    """(keys, checksums): modulo q_0 and one prime, and at the highest level."""
    found, sums = [], []
    for where, use in ((encapsulation_parameters(params), TO_SPARSE), (params, TO_DENSE)):
        header = unpack_header(source.read(HEADER.size))
        if header.kind != Kind.SWITCHING_KEY or header.level != where.depth:
            raise FormatError(
                f"{header.kind.one} of level {header.level} lies where a switching key of level "
                f"{where.depth}, of the sparse secret, should; the file was altered."
            )
        header.check(where)
        if switching_identity(key_id(header), use).tobytes() != identity:
            raise FormatError(
                "a switching key of the sparse secret belongs to another secret key than the set, or lies in "
                "the place of the other; the file was altered."
            )
        payload, check = read_payload(source, header)
        found.append(build_object(header, payload, where))
        sums.append(check)
    return found, sums


def _check_complete(evaluation: EvaluationKeys, parameters: BootstrappingParameters) -> None:
    try:
        check_evaluation_keys(evaluation, parameters.manifest.exponents(parameters.params))
    except ValueError as error:
        raise FormatError(f"the file is of another circuit: {error}") from None
