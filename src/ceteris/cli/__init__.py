"""The command line: every command is a few lines on the functions of ``ceteris.api``."""

from ceteris.cli.app import main

__all__ = ["main"]
