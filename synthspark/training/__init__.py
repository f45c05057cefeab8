"""Train the networks: Petastorm streams the feeds, TorchDistributor places the processes, PyTorch optimises."""

from synthspark.training.artifacts import load_generator
from synthspark.training.distributor import check_slots, train_all
from synthspark.training.task import TrainingTask

__all__ = ["TrainingTask", "check_slots", "load_generator", "train_all"]
