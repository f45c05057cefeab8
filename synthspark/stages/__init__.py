"""The edge: each stage reads what earlier stages published, calls pure functions, and publishes."""
