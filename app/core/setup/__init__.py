"""What is asked about a model before it is used, and the proof of each answer."""
