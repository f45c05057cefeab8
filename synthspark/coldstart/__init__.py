"""The job's core: learn once from a shop's evidence, and place virtual events of those whom nobody knows yet.

The run and its proof go the same way: `learn` (or a run's stages, which are its parts) and `virtual_events`.
"""
