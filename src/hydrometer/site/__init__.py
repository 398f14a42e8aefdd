"""The static site of a board: it opens from disk, works offline, and needs no server."""
