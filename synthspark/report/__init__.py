"""report.html: results of a run and how certain they are, in one self-contained file."""

from synthspark.report.facts import Curve, Distribution, Example, Facts, Heat, Panel, Traversal

__all__ = ["Curve", "Distribution", "Example", "Facts", "Heat", "Panel", "Traversal"]
