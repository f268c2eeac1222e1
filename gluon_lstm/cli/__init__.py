"""The command line: arguments, one library call, what is printed. No logic of its own."""
