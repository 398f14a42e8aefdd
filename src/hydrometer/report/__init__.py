"""Reports: verdicts in words, tables and figures, the same ones for the terminal and for HTML."""
