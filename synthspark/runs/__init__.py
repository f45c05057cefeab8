"""A run: the lake, its tables, the lease and the context that each stage receives."""
