"""Which reader a registry's schema asks for. Each is imported late: both need the extra `registry`."""

from collections.abc import Sequence

from worker.labelling.registry.schema import Reference, RegistrySchema, SchemaError


def schema_of(kind: str, schema: str, references: Sequence[Reference]) -> RegistrySchema:
    """Return what reads records of a schema.

    Args:
        kind: as the registry names it: AVRO, PROTOBUF, JSON.
        schema: Avro as JSON, or a Protobuf descriptor in base64.
        references: those first that others refer to.

    Raises:
        SchemaError: it is none, or of another kind.
    """
    try:
        if kind == "AVRO":
            from worker.labelling.registry.avro import AvroSchema

            return AvroSchema(schema, references)
        if kind == "PROTOBUF":
            from worker.labelling.registry.protobuf import ProtobufSchema

            return ProtobufSchema(schema, references)
    except ImportError as error:
        raise SchemaError(f"{kind} needs the extra 'registry' ({error.name} is not installed)") from error
    raise SchemaError(f"{kind} is not read")
