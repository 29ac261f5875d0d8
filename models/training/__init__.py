"""How the embedded model was trained: teachers, distillation, evaluation, export.

Goes in: what makes weights. Stays out: whatever the app needs; nothing imports from here.
"""
