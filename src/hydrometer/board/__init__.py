"""A leaderboard of reviewable entries: added from verdicts, made again by doubters, ranked with ties."""
