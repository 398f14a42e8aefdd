"""Statistics of few seeds: intervals, paired tests, ranks and exact Shapley values, in numpy."""
