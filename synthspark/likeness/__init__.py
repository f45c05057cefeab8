"""Fidelity and privacy of synthetic rows compared with real rows."""
