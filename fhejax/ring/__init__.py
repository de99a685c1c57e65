"""The ring Z_Q[X]/(X^N + 1) and its conjugate-invariant subring: residue number system, 32-bit words."""

from fhejax.ring.automorphism import automorphism, coefficient_automorphism, permutation, permute
from fhejax.ring.basis_conversion import convert_basis, divide_by_moduli, multiply_integers, take_limbs
from fhejax.ring.matrix_product import modular_matrix_product, product_method
from fhejax.ring.primes import is_prime, modulus_bits, ntt_primes, root_of_unity
from fhejax.ring.randomness import key_from_bytes, random_key
from fhejax.ring.ring import Ring, check_ring
from fhejax.ring.transform import Twiddles, evaluation_exponents, inverse_ntt, ntt, twiddles

__all__ = [
    "Ring",
    "Twiddles",
    "automorphism",
    "check_ring",
    "coefficient_automorphism",
    "convert_basis",
    "divide_by_moduli",
    "evaluation_exponents",
    "inverse_ntt",
    "is_prime",
    "key_from_bytes",
    "modular_matrix_product",
    "modulus_bits",
    "multiply_integers",
    "ntt",
    "ntt_primes",
    "permutation",
    "permute",
    "product_method",
    "random_key",
    "root_of_unity",
    "take_limbs",
    "twiddles",
]
