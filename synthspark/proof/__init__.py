"""Proof of the effect of virtual events: protocols, arms and controls, evaluated with plain ALS."""
