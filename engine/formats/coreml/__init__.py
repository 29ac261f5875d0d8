"""Core ML: neural networks and ML Programs to graphs of layers.

Goes in: Core ML's messages, weights and operations, one function a kind in a table. Stays out:
what labels and recipes mean; a description returns facts.
"""
