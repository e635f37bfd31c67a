"""From the broker to a slice of items: group membership, lanes, their journal. All that decides which record is read when."""
