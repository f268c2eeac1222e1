"""Report on posts: word counts, keyness, summary, plots, and memorization of a model."""
