"""Posts in Avro and Protobuf: their schemas from a Schema Registry, and what they hold by them. Extra `registry`."""
