"""Train: Petastorm streams the feeds, TorchDistributor places the processes, PyTorch learns."""

from synthspark.training.artifacts import load_generator
from synthspark.training.distributor import train_all
from synthspark.training.task import TrainingTask

__all__ = ["TrainingTask", "load_generator", "train_all"]
