"""The discovery document: what `google-api-python-client` and others build a client from."""

from collections.abc import Iterable
from typing import Any


def discovery_document(root: str, attributes: Iterable[str]) -> dict[str, Any]:
    """Return the document.

    Args:
        root: address of this server, with a slash at its end.
        attributes: that are scored.
    """
    names = ", ".join(attributes)
    return {
        "kind": "discovery#restDescription",
        "discoveryVersion": "v1",
        "id": "commentanalyzer:v1alpha1",
        "name": "commentanalyzer",
        "version": "v1alpha1",
        "title": "Comments of `moderate serve`, as Perspective's API had them",
        "description": f"Scores of a comment: {names}.",
        "protocol": "rest",
        "rootUrl": root,
        "servicePath": "",
        "baseUrl": root,
        "basePath": "",
        "batchPath": "batch",
        "parameters": {
            "key": {"type": "string", "location": "query", "description": "API key."},
            "alt": {"type": "string", "location": "query", "enum": ["json"], "default": "json"},
            "fields": {"type": "string", "location": "query", "description": "Is ignored: all fields are answered."},
            "prettyPrint": {"type": "boolean", "location": "query", "description": "Is ignored."},
            "quotaUser": {"type": "string", "location": "query", "description": "Is ignored."},
        },
        "schemas": _schemas(names),
        "resources": {
            "comments": {
                "methods": {
                    "analyze": {
                        "id": "commentanalyzer.comments.analyze",
                        "path": "v1alpha1/comments:analyze",
                        "flatPath": "v1alpha1/comments:analyze",
                        "httpMethod": "POST",
                        "description": "Analyzes the provided text and returns scores for requested attributes.",
                        "parameters": {},
                        "parameterOrder": [],
                        "request": {"$ref": "AnalyzeCommentRequest"},
                        "response": {"$ref": "AnalyzeCommentResponse"},
                    }
                }
            }
        },
    }


def _schemas(names: str) -> dict[str, Any]:
    score = {"value": {"type": "number", "format": "float"}, "type": {"type": "string", "enum": ["PROBABILITY"]}}
    return {
        name: {"id": name, "type": "object", "properties": properties}
        for name, properties in {
            "AnalyzeCommentRequest": {
                "comment": {"$ref": "TextEntry"},
                "context": {"$ref": "Context", "description": "Is ignored."},
                "requestedAttributes": {
                    "type": "object",
                    "additionalProperties": {"$ref": "AttributeParameters"},
                    "description": f"Known are {names}.",
                },
                "languages": {"type": "array", "items": {"type": "string"}},
                "spanAnnotations": {"type": "boolean", "description": "Scores each sentence by itself, too."},
                "doNotStore": {"type": "boolean", "description": "Keeps nothing of it in the cache."},
                "dropUnsupportedAttributes": {"type": "boolean"},
                "clientToken": {"type": "string"},
                "sessionId": {"type": "string", "description": "Is ignored."},
                "communityId": {"type": "string"},
            },
            "AnalyzeCommentResponse": {
                "attributeScores": {"type": "object", "additionalProperties": {"$ref": "AttributeScores"}},
                "languages": {"type": "array", "items": {"type": "string"}},
                "detectedLanguages": {"type": "array", "items": {"type": "string"}},
                "clientToken": {"type": "string"},
            },
            "AttributeParameters": {
                "scoreType": {"type": "string", "enum": ["SCORE_TYPE_UNSPECIFIED", "PROBABILITY"]},
                "scoreThreshold": {"type": "number", "format": "float"},
            },
            "AttributeScores": {
                "summaryScore": {"$ref": "Score"},
                "spanScores": {"type": "array", "items": {"$ref": "SpanScore"}},
            },
            "Context": {"entries": {"type": "array", "items": {"$ref": "TextEntry"}}},
            "Score": score,
            "SpanScore": {
                "begin": {"type": "integer", "format": "int32"},
                "end": {"type": "integer", "format": "int32"},
                "score": {"$ref": "Score"},
            },
            "TextEntry": {
                "text": {"type": "string"},
                "type": {"type": "string", "enum": ["TEXT_TYPE_UNSPECIFIED", "PLAIN_TEXT", "HTML"]},
            },
        }.items()
    }
