"""Kernels: each writes WGSL for the shapes at hand."""
