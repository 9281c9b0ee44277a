"""Times as protobuf has them."""

from datetime import datetime

from google.protobuf.timestamp_pb2 import Timestamp


def timestamp(at: datetime | None) -> Timestamp | None:
    """A time, None for none."""
    if at is None:
        return None
    told = Timestamp()
    told.FromDatetime(at)
    return told
