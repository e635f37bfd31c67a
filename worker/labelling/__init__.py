"""From a record to its labels: the stages in the order of the data.

They know neither Kafka nor what becomes of a label.
"""
