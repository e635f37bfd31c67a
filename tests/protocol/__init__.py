"""The commit protocol and the journal for poison posts as models, checked in every state that they can reach."""
