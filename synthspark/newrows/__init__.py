"""New users and items: the feed that their generator learns from, its training, and the rows that it makes."""
