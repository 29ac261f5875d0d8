"""Kernels: small builders of machine code, one file for each kind of work.

Goes in: one kind of work as a function of shapes and an instruction set. Stays out: which layer
uses it (`plan`).
"""
