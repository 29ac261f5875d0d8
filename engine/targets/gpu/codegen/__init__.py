"""What WGSL is written around: how values lie in buffers (the kernels write the rest).

Goes in: layouts and addressing that kernels share. Stays out: single kernels, and the device.
"""
