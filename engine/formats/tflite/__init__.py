"""TensorFlow Lite: files to graphs of layers."""
