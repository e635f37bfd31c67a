"""Child processes that a suspicious post may kill, and how they give way to the stream. The stream survives whatever happens in them."""
