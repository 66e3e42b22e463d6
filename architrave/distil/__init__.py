"""Networks that learn from others: what a student is to match of its teachers, as a loss for the trainer."""

from architrave.distil.objective import Distillation, Teacher
from architrave.distil.terms import Adversary, Features, Logits, Relations, Term

__all__ = ["Adversary", "Distillation", "Features", "Logits", "Relations", "Teacher", "Term"]
