"""From findings to results: what tables, figures and words read."""
