"""A report for a terminal, as a page, as JSON. It computes nothing."""
