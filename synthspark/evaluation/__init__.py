"""Evaluate: splits without leakage, controls, full-ranking metrics with intervals, and the gate."""
