"""Core ML: neural networks and ML Programs to graphs of layers."""
