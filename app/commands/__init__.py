"""Commands of the `twinlens` program."""
