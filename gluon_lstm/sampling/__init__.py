"""From a model and a prefix to text, and from a model and a text to bits per character. NumPy alone."""
