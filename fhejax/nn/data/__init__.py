"""The data sets: MNIST and CIFAR-10 from their original files, and scikit-learn's digits."""

from fhejax.nn.data.cifar10 import CIFAR10_CLASSES, load_cifar10
from fhejax.nn.data.dataset import Dataset
from fhejax.nn.data.digits import load_digits
from fhejax.nn.data.mnist import load_mnist

__all__ = ["CIFAR10_CLASSES", "Dataset", "load_cifar10", "load_digits", "load_mnist"]
