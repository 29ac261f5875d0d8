"""TensorFlow Lite: files to graphs of layers.

Goes in: flatbuffers read with care, and operators, one function a kind in a table. Stays out:
any runtime.
"""
