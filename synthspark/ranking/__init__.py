"""Ranked lists judged: splits without leakage, full-ranking metrics with intervals, and the gate."""
