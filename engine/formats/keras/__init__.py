"""Keras models that bring their architecture, of Keras 2 and 3."""
