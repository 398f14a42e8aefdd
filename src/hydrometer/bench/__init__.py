"""Many verdicts from one plan: expanded, priced, made in any number of sittings."""
