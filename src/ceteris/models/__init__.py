"""Models built layer by layer from plain arguments, the same ones stacked, and their summary."""
