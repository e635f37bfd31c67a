"""The HTTP door: the stages of the stream for programs and people that do not speak Kafka.

``labeller``     the stages behind one queue with deadlines: posts in, answers out
``admission``    how many posts and bytes may wait, and who is refused before memory grows
``answers``      what is said of a post: its labels, or why it has none
``posted``       a post that came over HTTP, in the place of a record
``opening``      the labeller put together from the settings
``errors``       what the labeller refuses to do, and what a client is told of it
"""
