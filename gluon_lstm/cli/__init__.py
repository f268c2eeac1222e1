"""Command line interface: parse arguments, call the library once, print the result."""
