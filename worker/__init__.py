"""The stream: posts in from Kafka, labels out to Kafka, exactly once.

A post's way: `intake` ─▶ `labelling` ─▶ `output`, and `broker` commits what came of it. `service` and `pipeline` put
these together, `app` runs them. Which folder may import which stands in `docs/architecture.md`.
"""
