"""Files to posts: one module a family of formats, their encodings and their dates."""
