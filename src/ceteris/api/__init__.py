"""What a notebook or a script calls; the command line is built on the same functions."""
