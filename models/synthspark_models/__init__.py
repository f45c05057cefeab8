"""The networks and losses: pure PyTorch, importable without Spark."""

from synthspark_models.behaviour import BehaviourDiscriminator, BehaviourGenerator, Preference, summarised
from synthspark_models.gan import GanDiscriminator, GanGenerator, Sample
from synthspark_models.judge import PairDiscriminator
from synthspark_models.tabular import TableShape, TabularEncoder

__all__ = [
    "BehaviourDiscriminator",
    "BehaviourGenerator",
    "GanDiscriminator",
    "GanGenerator",
    "PairDiscriminator",
    "Preference",
    "Sample",
    "TableShape",
    "TabularEncoder",
    "summarised",
]
