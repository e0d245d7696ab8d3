"""Readers: one file per source format; each turns files into a Source or raises DataError."""
