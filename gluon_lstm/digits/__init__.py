"""Notes 002: 8x8 digits, each read as eight rows of eight by the cell of `lstm/`, and told apart by its last state."""
