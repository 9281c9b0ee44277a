"""When a service, and the gateway in front of all, can be said to answer."""

import http.client

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc


def serves(endpoint: str, service: str) -> bool:
    """Whether host:port says SERVING about this service on the standard health protocol. Without a name it would only say that it lives."""
    with grpc.insecure_channel(endpoint) as channel:
        try:
            answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=service), timeout=1)
        except grpc.RpcError:
            return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


def answers(gateway: str, token: str, path: str = "/v1/contexts") -> bool:
    """Whether an authenticated read through the gateway succeeds."""
    connection = http.client.HTTPConnection(gateway, timeout=5)
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
