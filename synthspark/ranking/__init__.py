"""Evaluation of ranked lists: splits without leakage, full-ranking metrics with intervals, and the gate."""
