"""What the notes tell or ask, shown by running: each module is one `gluon-lstm demo`."""
