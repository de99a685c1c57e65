"""Flax networks with polynomial activations, their data, and how they are trained.

Plain Flax and optax: no cryptography. `fhejax.compile` makes an encrypted program of any of these.
"""

from fhejax.nn.activations import PolynomialActivation as PolynomialActivation
from fhejax.nn.activations import Square as Square
from fhejax.nn.augmentation import Distortion as Distortion
from fhejax.nn.augmentation import distort as distort
from fhejax.nn.batch_norm import fold_batch_norm as fold_batch_norm
from fhejax.nn.batch_norm import fold_into_next as fold_into_next
from fhejax.nn.batch_norm import fold_into_previous as fold_into_previous
from fhejax.nn.bounds import logit_bounds as logit_bounds
from fhejax.nn.bounds import logit_magnitude as logit_magnitude
from fhejax.nn.data import Dataset as Dataset
from fhejax.nn.data import load_digits as load_digits
from fhejax.nn.data import load_mnist as load_mnist
from fhejax.nn.models import HCNN as HCNN
from fhejax.nn.models import MLP as MLP
from fhejax.nn.models import CryptoNets as CryptoNets
from fhejax.nn.models import Digits as Digits
from fhejax.nn.models import Network as Network
from fhejax.nn.quantisation import quantise_kernels as quantise_kernels
from fhejax.nn.training import Epoch as Epoch
from fhejax.nn.training import TrainingConfig as TrainingConfig
from fhejax.nn.training import accuracy as accuracy
from fhejax.nn.training import evaluate as evaluate
from fhejax.nn.training import inference_view as inference_view
from fhejax.nn.training import train as train
from fhejax.nn.weights import load_weights as load_weights
from fhejax.nn.weights import save_weights as save_weights
