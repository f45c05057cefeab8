"""The configuration."""

from synthspark.config.base import Bounds, Expression, Kind, Section
from synthspark.config.learning import (
    BehaviourNetwork,
    DifferentialPrivacy,
    Events,
    Features,
    Judge,
    Network,
    ProfileNetwork,
    Recommend,
    Synthesize,
    Train,
)
from synthspark.config.loading import QUICK_LOOK, load, parse, parse_text, public_yaml
from synthspark.config.proof import ARMS, RANKERS, Ablation, Arm, Evaluate, Protocol
from synthspark.config.search import Search, SearchControl, SearchProtocol
from synthspark.config.sections import Apply, Config, Lake, Tracking
from synthspark.config.source import EntitySource, EventSource, SearchSource, Source, Sources

__all__ = [
    "ARMS",
    "Ablation",
    "Apply",
    "Arm",
    "BehaviourNetwork",
    "Bounds",
    "Config",
    "DifferentialPrivacy",
    "EntitySource",
    "Evaluate",
    "EventSource",
    "Events",
    "Expression",
    "Features",
    "Judge",
    "Kind",
    "Lake",
    "Network",
    "ProfileNetwork",
    "Protocol",
    "QUICK_LOOK",
    "RANKERS",
    "Recommend",
    "Search",
    "SearchControl",
    "SearchProtocol",
    "SearchSource",
    "Section",
    "Source",
    "Sources",
    "Synthesize",
    "Tracking",
    "Train",
    "load",
    "parse",
    "parse_text",
    "public_yaml",
]
