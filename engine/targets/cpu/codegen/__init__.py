"""Machine code: instruction sets, building blocks, the driver around the kernels, LLVM."""
