"""What WGSL is written around: how values lie in buffers (the kernels write the rest)."""
