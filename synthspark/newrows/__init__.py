"""New users and items: feeds for their generators, training, and generation of rows."""
