"""Models to start from: the one in this package, and the weights of any model for the vocabulary of another text."""
