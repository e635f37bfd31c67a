"""Shows a report on a terminal, as a page, or as JSON. It computes nothing."""
