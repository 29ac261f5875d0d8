"""What views show, as plain data: one file a view."""
