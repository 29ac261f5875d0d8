"""What an engine is, which there are, and what they answer."""
