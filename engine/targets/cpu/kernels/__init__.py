"""Kernels: small builders of machine code, one file for each kind of work."""
