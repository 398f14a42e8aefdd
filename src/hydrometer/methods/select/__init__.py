"""Selection: keep some of the real images."""
