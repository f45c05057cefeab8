"""Features: encoders, interactions, behaviour features, factors and the feeds that training reads."""
