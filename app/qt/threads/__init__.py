"""From other threads to the window's, and back."""
