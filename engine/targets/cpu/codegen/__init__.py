"""Machine code: instruction sets, building blocks, the driver around the kernels, LLVM.

Goes in: what every kernel is built with. Stays out: single kernels (`kernels`), and decisions
about a graph (`plan`).
"""
