"""The core of the job: learn once from a shop's evidence, then place virtual events of cold and new entities.

The run and its proof share this code: `learn` (or a run's stages, which call its parts), then `virtual_events`.
"""
