"""How the embedded model was trained: teachers, distillation, evaluation, export."""
