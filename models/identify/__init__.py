"""What a name or a path is: the model, and where each fact about it comes from.

Goes in: one table of kinds of files, and readers of labels and recipes that return facts with
their origin. Stays out: parsers (`engine.formats`, `engine.params`) and questions to a person
(`app.core.setup`).
"""
