"""What people look at: the words of posts, what sets them apart, a summary, pictures, how original a model is."""
