"""What a study will cost and what it can find out, before it trains."""
