"""Networks and losses in pure PyTorch, importable without Spark."""

from synthspark_models.autoregressive import AutoregressiveGenerator
from synthspark_models.behaviour import BehaviourDiscriminator, BehaviourGenerator, Preference, summarised
from synthspark_models.dcgan import DcganDiscriminator, DcganGenerator
from synthspark_models.gan import GanDiscriminator, GanGenerator
from synthspark_models.infogan import Codes, CodeShape, InfoGanDiscriminator, InfoGanGenerator
from synthspark_models.judge import PairDiscriminator
from synthspark_models.query_writer import QueryWriter
from synthspark_models.rows import RowDiscriminator, RowGenerator, Sample
from synthspark_models.tabular import BagShape, TableShape, TabularEncoder
from synthspark_models.tower import SearchTower
from synthspark_models.wgan_gp import WganCritic
from synthspark_models.writer import Writer

__all__ = [
    "AutoregressiveGenerator",
    "BagShape",
    "BehaviourDiscriminator",
    "BehaviourGenerator",
    "CodeShape",
    "Codes",
    "DcganDiscriminator",
    "DcganGenerator",
    "GanDiscriminator",
    "GanGenerator",
    "InfoGanDiscriminator",
    "InfoGanGenerator",
    "PairDiscriminator",
    "Preference",
    "QueryWriter",
    "RowDiscriminator",
    "RowGenerator",
    "Sample",
    "SearchTower",
    "TableShape",
    "TabularEncoder",
    "WganCritic",
    "Writer",
    "summarised",
]
