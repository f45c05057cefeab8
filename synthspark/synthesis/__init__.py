"""Synthesize: new entities, vectors for cold ones, the placing of their events, and the events themselves."""
