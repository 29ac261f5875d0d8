"""What an engine is, which there are, and what they answer: the words that all rooms share.

Goes in: protocols, records and the registry. Stays out: anything that computes or opens a file.
A new engine is a class with `available`, `precisions` and `load`, and a line in the registry.
"""
