"""Short sheets over the picture."""
