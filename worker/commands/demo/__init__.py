"""`moderate demo`: the sample posts through a real Kafka, a real Redis and a real worker, and the count afterwards."""
