"""Synthetic rows against real ones: how alike they are, and whether they tell of anybody."""
