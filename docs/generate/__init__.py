"""Pages of the documentation site that are made from code when it is built, so that they cannot go stale."""
