"""From ids to trained weights: loss, optimizer, schedule, the training loop and what it leaves on disk."""
