"""Kernels: each writes WGSL for the shapes at hand.

Goes in: one kind of work as a function of shapes. Stays out: which layer uses it (`plan`).
"""
