"""An archive into a topic: rows become records with their own timestamps, each exactly once.

rows (mmorient) ─▶ records ─▶ run: one transaction of records and the place behind them
                               │ terms: what the topic takes
                               └ progress: that place, beside a consumer group's offset
"""
