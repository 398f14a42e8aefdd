"""Decoupled distillation: a teacher first, then images whose statistics inside it match real ones."""
