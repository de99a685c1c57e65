"""`ClientProgram`: what a client holds of a program: how to make keys, encrypt arguments and open results."""

import dataclasses
from typing import Any

import jax
import numpy as np

from fhejax import ckks
from fhejax.ckks import BootstrappingParameters, Parameters, PublicKey, SecretKey
from fhejax.ckks.bootstrapping import bootstrapping_circuit, bootstrapping_keys
from fhejax.ckks.encryption.sharing import SharingBudget, flooded
from fhejax.ckks.keys import KeyManifest, evaluation_keys_for
from fhejax.ckks.keys.generation import check_cryptographic_key
from fhejax.ckks.parameters import Scale
from fhejax.program.arguments import Encrypted, check_values, normalisation
from fhejax.program.circuit.entries import samples_held
from fhejax.program.circuit.slots import batch_period
from fhejax.program.circuit.steps.call import Keys
from fhejax.program.packing.layout import Layout
from fhejax.program.report import client_report
from fhejax.program.run.blocks import decrypt_array, fill_slots, unfilled
from fhejax.program.run.client import encrypt_entries, encrypt_samples
from fhejax.program.run.encrypted_array import EncryptedArray
from fhejax.program.run.interface import Interface
from fhejax.program.run.result_checks import ExpectedArray, check_result
from fhejax.program.server_program import check_parameters, kept_entries
from fhejax.ring.one_executable import in_one_executable
from fhejax.ring.platform import current_device
from fhejax.ring.randomness import CHACHA20


@dataclasses.dataclass(frozen=True)
class Predictions:
    """The numbers that are told of a program before it runs.

    Attributes:
        bits: of precision.
        errors: root mean square of each encrypted result's error.
        sizes: root mean square of each encrypted result itself, on the planner's sample.
        key_bytes: of the file of evaluation keys.
        upload_bytes: of the file of all arguments together, seeded.
        public_upload_bytes: of the same under a public key; 0 where none may be used.
        download_bytes: of the file of all results together.
    """

    bits: float
    errors: tuple[float, ...]
    sizes: tuple[float, ...]
    key_bytes: int
    upload_bytes: int
    public_upload_bytes: int
    download_bytes: int


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class ClientProgram:
    """The client's half of a program; it holds no weights and no steps.

    What every result carries to be read, factors and offsets that no ciphertext was spent on, is in it too.

    Attributes:
        params: of the scheme.
        bootstrapping: the parameters of bootstraps, if there are any.
        manifest: the keys that the server needs, but for those of bootstraps.
        interface: arguments and results.
        expected: the descriptions of all that may have to be decrypted.
        batch: samples that were planned for.
        blocks: of slots that they fill.
        sums: whether sums run over the batch.
        whole_batch: whether every sample must be there, for a sum over the batch to be right.
        level: of fresh ciphertexts.
        scale: of fresh ciphertexts.
        predictions: for the report.
        layouts: of each argument's sample or samples, where a block holds one or a few; else empty.
        result_layout: of results, in that case.
    """

    params: Parameters
    bootstrapping: BootstrappingParameters | None
    manifest: KeyManifest
    interface: Interface
    expected: tuple[ExpectedArray, ...]
    batch: int
    blocks: int
    sums: bool
    whole_batch: bool
    level: int
    scale: Scale
    predictions: Predictions
    layouts: tuple[Layout | None, ...] = ()
    result_layout: Layout | None = None

    @property
    def security(self) -> int:
        """The bits of security that are known of all secrets, a bootstrap's included: 256, 192, 128, or 0."""
        chosen = self.params if self.bootstrapping is None else self.bootstrapping
        return chosen.security

    def report(self) -> str:
        """The text that says what a client should know: parameters, security, keys, bytes, precision."""
        return client_report(self)

    @property
    def period(self) -> int:
        """The slots after which the samples of a block repeat."""
        return batch_period(self.batch, self.params.slots)

    def keygen(self, *, random: jax.Array | None = None) -> tuple[SecretKey, Keys]:
        """The new keys: a secret one, and what the server needs.

        The evaluation keys are those of the manifest, each cut to the level of its first use. Where values
        are bootstrapped, they are `BootstrappingKeys` with its matrices: gigabytes and a minute at N = 2^16.

        Args:
            random: a key of `ckks.random_key()`, to be kept like the secret one: with it the same keys are
                made again. By default it is a new one, from the operating system, that nobody keeps.

        Raises:
            ValueError: a random key that is not cryptographic.
        """
        random, device = _unused(random), current_device()
        few = len(self.manifest.exponents(self.params)) <= device.blocks.grouped_switches
        if device.launches_slowly and few and self.bootstrapping is None:
            return in_one_executable(_keys_at_once, (random,), (self.params, self.manifest))
        first, second = jax.random.split(random)
        secret = ckks.secret_key(first, self.params)
        return secret, self._keys_of(second, secret)

    def evaluation_keys(self, secret: SecretKey, *, random: jax.Array | None = None) -> Keys:
        """The keys that the server needs, under a secret that exists, such as that of another program.

        So several programs of the same parameters (`compile(..., parameters=first.params)`) have one secret,
        and the server keys for each.

        Args:
            secret: from `keygen` of a program of the same parameters.
            random: as for `keygen`.

        Raises:
            ValueError: a secret key of other parameters, or a random key that is not cryptographic.
        """
        check_parameters(secret, "the secret key", self.params)
        return self._keys_of(_unused(random), secret)

    def _keys_of(self, random: jax.Array, secret: SecretKey) -> Keys:
        """The keys of the manifest, and of bootstraps, under a secret."""
        if self.bootstrapping is None:
            return evaluation_keys_for(random, secret, self.manifest)
        return bootstrapping_keys(random, secret, bootstrapping_circuit(self.bootstrapping), self.manifest)

    def public_key(self, secret: SecretKey) -> PublicKey:
        """A new public key: whoever has it can encrypt arguments, and open none.

        Args:
            secret: from `keygen` of this program; randomness is from the operating system.

        Raises:
            ValueError: a secret key of other parameters, or a program that was not planned for public keys.
        """
        self._check_holder(secret, public=True)
        return ckks.public_key(ckks.random_key(), secret)

    def encrypt(self, holder: SecretKey | PublicKey, *values: Any, random: jax.Array | None = None) -> Any:
        """The encrypted arguments, in order: one EncryptedArray, or a tuple of them.

        Uniform halves are seeds where the secret key encrypts: half the bytes.

        With a random key that is kept the same call makes the same ciphertexts again, so that a run can be
        resumed without its uploads. No mask is used for two messages: each is drawn from a stream that is
        derived from the random key, the holder's key, the place of the ciphertext, and what it encrypts.

        Args:
            holder: the secret key from `keygen` of this program; or its `public_key`, for a program whose
                encrypted arguments are described with public_key=True.
            *values: arrays of the planned shapes (pytrees, where the function takes those); fewer samples
                than planned are padded, and weigh nothing in sums over the batch. None in place of an
                argument that a carried result replaces leaves it out, and is returned there.
            random: a key of `ckks.random_key()`, as secret as the values; by default a new one, from the
                operating system, that nobody keeps. Equal values under equal ones have equal ciphertexts, and
                so tell that they are equal: give `jax.random.fold_in(random, number)` to each upload.

        Raises:
            ValueError, TypeError: wrong shape or dtype, NaN, values outside the planned range, more samples
                than planned, a key of other parameters, a public key that was not planned for, or a random
                key that is not cryptographic.
        """
        randoms = jax.random.split(_unused(random), len(self.interface.encrypted))
        self._check_holder(holder, public=isinstance(holder, PublicKey))
        described = self.interface.encrypted
        flat = self.interface.flatten_encrypted(values, "encrypt")
        carried = self.interface.carried
        left_out = [
            v is None and any(a is one for one in carried) for a, v in zip(described, flat, strict=True)
        ]
        triples = zip(described, flat, left_out, strict=True)
        given = {n: (a, check_values(a, v)) for n, (a, v, without) in enumerate(triples) if not without}
        if given:
            check_samples(self, samples_held(*zip(*given.values(), strict=True)))
        arrays = {n: self.encrypt_argument(holder, *pair, randoms[n]) for n, pair in given.items()}
        return self.interface.nest_encrypted([arrays.get(n) for n in range(len(described))])

    def _check_holder(self, holder: SecretKey | PublicKey, public: bool) -> None:
        """Refuse a key of other parameters, and public keys where their noise was not planned for."""
        if not isinstance(holder, SecretKey | PublicKey):
            raise TypeError(
                f"arguments were to be encrypted with an object of type {type(holder).__name__}; it "
                f"takes the secret key from keygen() or the public key from public_key(secret)."
            )
        name = "the public key" if isinstance(holder, PublicKey) else "the secret key"
        check_parameters(holder, name, self.params)
        if public and not all(a.public_key for a in self.interface.encrypted):
            raise ValueError(
                "a public key was to encrypt arguments of a program that was planned for the secret key, "
                "whose noise is smaller; compile with Encrypted(..., public_key=True) for each of them."
            )

    def encrypt_argument(
        self,
        holder: SecretKey | PublicKey,
        argument: Encrypted,
        array: np.ndarray,
        random: jax.Array | None = None,
    ) -> EncryptedArray:
        """One encrypted argument.

        Args:
            holder: the key that encrypts.
            argument: the argument's description.
            array: its values, float64, already checked.
            random: a cryptographic key for it alone; by default a new one.
        """
        axis = argument.batch_axis
        samples = self.batch if axis is None else array.shape[axis]
        layout = self._layout(argument)
        random, kept, place = _unused(random), kept_entries(layout, argument), (self.level, self.scale)
        if layout is None and axis is not None and current_device().launches_slowly:
            given = unfilled(self, argument, normalisation(argument).normalised(array))
            data, seeds = encrypt_samples(random, holder, *given, kept, *place)
        else:
            rows = fill_slots(self, argument, array, layout)
            entries = rows.reshape(len(rows), *kept, rows.shape[-1])
            data, seeds = encrypt_entries(random, holder, entries, *place)
        return EncryptedArray(
            data,
            holder.key_id,
            None,
            self.params,
            self.level,
            self.scale,
            argument.shape,
            axis,
            samples,
            argument.dtype,
            normalisation(argument),
            seeds=seeds,
            layout=layout,
        )

    def _layout(self, argument: Encrypted) -> Layout | None:
        """The layout of an argument's sample, where a block holds one."""
        if not self.layouts:
            return None
        return next(
            layout for a, layout in zip(self.interface.arguments, self.layouts, strict=True) if a is argument
        )

    def decrypt(self, secret: SecretKey, results: Any) -> Any:
        """The function's result: NumPy arrays of its shape (only the samples encrypted).

        They are float64, whatever the function computes with in the clear: precision is not lost on the way.

        Raises:
            ValueError: a secret key that does not open the result, altered residues, or a result whose
                description is not what this program makes.
        """
        check_parameters(secret, "the secret key", self.params)

        def opened(result: Any) -> np.ndarray:
            """The numbers of one result, which may be plain."""
            if not isinstance(result, EncryptedArray):
                return np.asarray(result)
            check_result(result, self.expected, self.batch)
            return decrypt_array(secret, result)

        return jax.tree.map(opened, results, is_leaf=lambda r: isinstance(r, EncryptedArray))

    def decrypt_for_sharing(
        self, secret: SecretKey, results: Any, budget: SharingBudget, *, noise_bound: float
    ) -> tuple[Any, SharingBudget]:
        """The function's result as `decrypt` gives it, with noise that hides that of the ciphertexts.

        What `decrypt` gives is for the holder of the secret key alone: whoever sees it and the ciphertexts
        learns of the key. See `ckks.encryption.decrypt_for_sharing`.

        Args:
            secret: as for `decrypt`.
            results: of one call, which count as one release; what is not to be shared is left out.
            budget: the count of releases, `ckks.encryption.sharing_budget(secret, releases)` at first.
            noise_bound: the largest error that any number of the results can have, whatever was encrypted.

        Returns:
            The results, float64, and the budget for the next release.

        Raises:
            ValueError: as `decrypt`; and a budget of another key, one that is used up, or a bound that is
                not positive.
        """
        opened = self.decrypt(secret, results)
        leaves, nesting = jax.tree.flatten(opened)
        sources = jax.tree.leaves(results, is_leaf=lambda r: isinstance(r, EncryptedArray))
        hidden = [n for n, source in enumerate(sources) if isinstance(source, EncryptedArray)]
        flat = np.concatenate([leaves[n].reshape(-1) for n in hidden] or [np.zeros(0)])
        shared, spent = flooded(ckks.random_key(), secret, flat, budget, noise_bound=noise_bound)
        parts = np.split(shared, np.cumsum([leaves[n].size for n in hidden])[:-1])
        for n, part in zip(hidden, parts, strict=False):
            leaves[n] = part.reshape(leaves[n].shape)
        return jax.tree.unflatten(nesting, leaves), spent

    def __repr__(self) -> str:
        shapes = ", ".join(str(a.shape) for a in self.interface.encrypted)
        return f"ClientProgram(encrypted {shapes}; {self.params})"


def _unused(random: jax.Array | None) -> jax.Array:
    """A new random key, or the given one, which JAX is to think of as new.

    What is drawn from it depends on what it is drawn for, so that it may be given again.

    Raises:
        ValueError: a random key that is not cryptographic.
    """
    if random is None:
        return ckks.random_key()
    check_cryptographic_key(random)
    return jax.random.wrap_key_data(jax.random.key_data(random), impl=CHACHA20)


def _keys_at_once(random: jax.Array, params: Parameters, manifest: KeyManifest) -> tuple[SecretKey, Keys]:
    """The secret key and those of the manifest, for one executable: `keygen` without bootstraps."""
    first, second = jax.random.split(random)
    secret = ckks.secret_key(first, params)
    return secret, evaluation_keys_for(second, secret, manifest)


def check_samples(plan: Any, samples: int) -> None:
    """Refuse too few samples where a sum over the batch needs every one.

    Args:
        plan: of the program, or its client's half.
        samples: in the encrypted arguments.

    Raises:
        ValueError: with the ways out.
    """
    if plan.whole_batch and samples < plan.batch:
        raise ValueError(
            f"{samples} samples were given to a program planned for {plan.batch} that sums over the "
            f"batch what is not zero where a sample is missing (such as a bias); give all "
            f"{plan.batch}, or compile with a batch that is no power of two, for which missing "
            f"samples are masked."
        )
