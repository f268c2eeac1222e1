"""Notes 002: 8x8 digits, read as eight rows of eight pixels by the cell of `lstm/` and classified by its last state."""
