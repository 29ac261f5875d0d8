"""ONNX: files to graphs of layers, and back."""
