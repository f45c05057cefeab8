"""Learn from a log of queries and clicks, place virtual clicks, and evaluate whether search finds new items."""
