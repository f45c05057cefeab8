"""Search: a log of queries and clicks learned from, virtual clicks placed, and whether new products are found."""
