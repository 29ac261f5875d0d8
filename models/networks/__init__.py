"""Networks assembled by hand, one file a paper."""
