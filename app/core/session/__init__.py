"""The live pipeline: frames in, answers out, on threads of its own."""
