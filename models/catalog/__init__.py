"""Published models: cards, where fetched files lie, and how they are fetched."""
