"""What a name or a path is: the model, and where each fact about it comes from."""
