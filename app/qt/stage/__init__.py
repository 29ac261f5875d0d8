"""The picture, what is painted on it, and the controls over it."""
