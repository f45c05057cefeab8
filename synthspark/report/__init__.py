"""report.html: what a run did and whether to believe it, in one file that opens anywhere."""

from synthspark.report.facts import Curve, Distribution, Example, Facts, Heat, Panel, Traversal

__all__ = ["Curve", "Distribution", "Example", "Facts", "Heat", "Panel", "Traversal"]
