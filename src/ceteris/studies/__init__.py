"""The studies room; see docs/architecture.md."""
