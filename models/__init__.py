"""Networks assembled from layers, and the catalog of models."""
