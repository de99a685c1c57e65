"""The types that documents hold: one line each."""

from fhejax.ckks.bootstrapping import BootstrappingParameters
from fhejax.program.arguments import Encrypted, Normalisation, Plain
from fhejax.program.circuit.lowering.settings import Settings
from fhejax.program.circuit.reading import AffineView
from fhejax.program.circuit.step_files import KINDS
from fhejax.program.client_program import ClientProgram, Predictions
from fhejax.program.levels.plan import ProgramPlan
from fhejax.program.packing.layout import Digit, Layout
from fhejax.program.run.encrypted_array import EncryptedArray
from fhejax.program.run.interface import Interface, ResultDescription
from fhejax.program.run.result_checks import ExpectedArray
from fhejax.program.server_program import ServerProgram
from fhejax.ring import Ring
from fhejax.ring.platform import BlockSizes, Device, UnitCosts

# Every dataclass in a document, under its name. What its fields hold has to be among these types, those of
# `special_types`, or plain Python: numbers, texts, None, tuples, lists and dictionaries of them, and arrays.
TYPES: tuple[type, ...] = (
    AffineView,
    BlockSizes,
    BootstrappingParameters,
    ClientProgram,
    Device,
    Digit,
    Encrypted,
    EncryptedArray,
    ExpectedArray,
    Interface,
    Layout,
    Normalisation,
    Plain,
    Predictions,
    ProgramPlan,
    ResultDescription,
    Ring,
    ServerProgram,
    Settings,
    UnitCosts,
    *KINDS,
)
BY_NAME = {kind.__name__: kind for kind in TYPES}
