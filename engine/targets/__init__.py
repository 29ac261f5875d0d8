"""Where graphs of layers run: what the targets share, and one package for each.

Goes in: what CPU and GPU share. Stays out: layers' meaning; each kernel is held to the reference
in `engine.layers`.
"""
