"""What a person can send when something went wrong, without anything of theirs in it.

In: versions, settings, figures, events, stacks. Out: one text. Nothing is sent anywhere; ``record``
is all that runs before somebody asks or something fails.
"""
