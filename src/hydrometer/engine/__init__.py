"""The training engine: cohorts of students, from first draw to last hit."""
