"""Flax networks with polynomial activations, their data, and how they are trained.

Plain Flax and optax: no cryptography. `fhejax.compile` makes an encrypted program of any of these.
"""

from fhejax.nn.activations import Coefficients as Coefficients
from fhejax.nn.activations import ExactActivation as ExactActivation
from fhejax.nn.activations import FixedCoefficients as FixedCoefficients
from fhejax.nn.activations import PolynomialActivation as PolynomialActivation
from fhejax.nn.activations import Square as Square
from fhejax.nn.augmentation import Distortion as Distortion
from fhejax.nn.augmentation import distort as distort
from fhejax.nn.batch_norm import fold_batch_norm as fold_batch_norm
from fhejax.nn.batch_norm import fold_into_next as fold_into_next
from fhejax.nn.batch_norm import fold_into_previous as fold_into_previous
from fhejax.nn.bounds import logit_bounds as logit_bounds
from fhejax.nn.bounds import logit_magnitude as logit_magnitude
from fhejax.nn.coefficient_tuning import fit_activation as fit_activation
from fhejax.nn.coefficient_tuning import profile as profile
from fhejax.nn.coefficient_tuning import tune_coefficients as tune_coefficients
from fhejax.nn.data import Dataset as Dataset
from fhejax.nn.data import load_digits as load_digits
from fhejax.nn.data import load_mnist as load_mnist
from fhejax.nn.hermite_activation import HermiteActivation as HermiteActivation
from fhejax.nn.models import HCNN as HCNN
from fhejax.nn.models import MLP as MLP
from fhejax.nn.models import CryptoDL as CryptoDL
from fhejax.nn.models import CryptoNets as CryptoNets
from fhejax.nn.models import Digits as Digits
from fhejax.nn.models import Network as Network
from fhejax.nn.progressive import alternate as alternate
from fhejax.nn.progressive import parameter_groups as parameter_groups
from fhejax.nn.progressive import replacement_schedule as replacement_schedule
from fhejax.nn.progressive import train_progressively as train_progressively
from fhejax.nn.quantisation import quantise_kernels as quantise_kernels
from fhejax.nn.range_penalty import outputs_and_penalty as outputs_and_penalty
from fhejax.nn.range_penalty import range_penalty as range_penalty
from fhejax.nn.replacement import activation_layers as activation_layers
from fhejax.nn.replacement import exact_twin as exact_twin
from fhejax.nn.replacement import fold_activations as fold_activations
from fhejax.nn.replacement import preactivations as preactivations
from fhejax.nn.replacement import replace_activation as replace_activation
from fhejax.nn.training import Epoch as Epoch
from fhejax.nn.training import TrainingConfig as TrainingConfig
from fhejax.nn.training import accuracy as accuracy
from fhejax.nn.training import evaluate as evaluate
from fhejax.nn.training import inference_view as inference_view
from fhejax.nn.training import train as train
from fhejax.nn.weights import load_weights as load_weights
from fhejax.nn.weights import save_weights as save_weights
