"""Where graphs of layers run: what the targets share, and one package for each."""
