"""What requests and replies are made of."""

import dataclasses
import json
import uuid

# Stands where JSON text is to be put in as it is.
RAW = "@raw@"


@dataclasses.dataclass
class Address:
    """Who asks: the reply queue of one request to one server."""

    case: str
    reply_queue: str
    msg_id: str = dataclasses.field(default_factory=lambda: uuid.uuid4().hex)
    unique_id: str = dataclasses.field(default_factory=lambda: uuid.uuid4().hex)


@dataclasses.dataclass
class Publication:
    body: bytes
    properties: dict
    fanout: bool = False


def envelope(inner, version="2.0"):
    return json.dumps({"oslo.version": version, "oslo.message": inner}).encode()


def nested(depth):
    return "[" * depth + "]" * depth


def amqp_properties(publication):
    """Those that oslo.messaging sets, but for what the publication overrides or removes (None)."""
    properties = {"content_type": "application/json", "content_encoding": "utf-8", "application_headers": {},
                  "delivery_mode": 2, "priority": 0, **publication.properties}
    return {name: value for name, value in properties.items() if value is not None}
