"""The window and what a person does in it."""
