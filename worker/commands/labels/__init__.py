"""Labels by id: what the topics say of one post."""
