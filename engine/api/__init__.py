"""What an engine is, which there are, and what they answer: the words that all rooms share.

Goes in: protocols, records and the registry. Stays out: networks and their
files. A new engine is a class as `protocol.Engine` asks, and a line in the registry.
"""
