"""A board to draw on, and the digits as a hand draws them."""
