"""Recommendation: implicit ALS on real and synthetic interactions, and each user's list."""

from synthspark.recommend.als import REAL, AlsSettings, Factors, blocks_for, fit_als, rating, with_virtual
from synthspark.recommend.lists import popular, recommendations

__all__ = [
    "REAL",
    "AlsSettings",
    "Factors",
    "blocks_for",
    "fit_als",
    "popular",
    "rating",
    "recommendations",
    "with_virtual",
]
