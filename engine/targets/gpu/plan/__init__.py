"""From a graph to kernels: which kernel computes which layer, and where values live."""
