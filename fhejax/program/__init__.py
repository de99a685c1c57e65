"""The compiler: from an ordinary JAX function to a program on encrypted data."""

from fhejax.program.arguments import Encrypted, Plain
from fhejax.program.client_program import ClientProgram
from fhejax.program.compiler import compile
from fhejax.program.files.files import from_bytes, load, load_client, load_server, save, to_bytes
from fhejax.program.levels.plan import TooDeepError
from fhejax.program.loop_compiler import compile_loop
from fhejax.program.loop_program import LoopProgram
from fhejax.program.program import Program
from fhejax.program.run.encrypted_array import EncryptedArray
from fhejax.program.server_program import ServerProgram
from fhejax.program.tensor.refusals import NotPolynomialError
from fhejax.program.verification import Verification

__all__ = [
    "ClientProgram",
    "Encrypted",
    "EncryptedArray",
    "LoopProgram",
    "NotPolynomialError",
    "Plain",
    "Program",
    "ServerProgram",
    "TooDeepError",
    "Verification",
    "compile",
    "compile_loop",
    "from_bytes",
    "load",
    "load_client",
    "load_server",
    "save",
    "to_bytes",
]
