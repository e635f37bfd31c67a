"""The chaos runner: faults at random against a real broker and a real Redis, then a count of every post.

plan      a seeded deck of faults, dealt in rounds
feed      posts into the topic, while everything breaks
fleet     the workers as processes, brought back as an orchestrator would
faults    what breaks: workers, the broker, Redis
progress  how long partitions stood still after each fault
audit     what became of every post, read back with `read_committed`
quiet     the same posts once more without faults: the labels must be the same bytes
report    what is shown, and the data of it
"""
