"""Controlled experiments on image classifiers."""
