"""From a graph to kernels: which kernel computes which layer, and where values live.

Goes in: rules, one function a kind of layer in a table. Stays out: code and memory addresses.
"""
