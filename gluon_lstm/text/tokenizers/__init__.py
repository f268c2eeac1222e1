"""Tokenizers: text <-> tokens, one class and one module each, found by `registry`."""
