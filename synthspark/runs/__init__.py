"""A run: its lake, its tables, its lease, and what every stage is given."""
