"""Keras models that bring their architecture, of Keras 2 and 3: files to graphs of layers.

Goes in: HDF5, zip and JSON read with care, and Keras' layers, one function a kind in a table.
Stays out: TensorFlow, and code that a file holds; weights without a model are `engine.params`'.
"""
