"""ONNX: files to graphs of layers, and back.

Goes in: reading, importing and writing, one function an operator in a table. Stays out: ONNX
Runtime (`engine.vision`).
"""
