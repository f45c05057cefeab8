"""Synthesis: rows of new entities, preference vectors, texts, and the synthetic events of placed pairs."""
