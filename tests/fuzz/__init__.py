"""Inputs that nobody thought of, for all that reads what others wrote: `make fuzz`."""
