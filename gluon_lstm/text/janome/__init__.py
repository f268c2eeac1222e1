"""Janome: atomic tokens, dictionary look-up, and analyzed words."""
