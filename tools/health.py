"""Asking the running processes whether they are well."""

from __future__ import annotations

import http.client
import json
import socket
import urllib.error
import urllib.parse
import urllib.request
from urllib.parse import urlsplit

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

ASK_SECONDS = 2.0
POSTGRES_PORT = 5432
NATS_PORT = 4222


def is_serving(address: str) -> bool:
    """Whether a gRPC server at host:port says that it serves."""
    with grpc.insecure_channel(address) as channel:
        try:
            answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=ASK_SECONDS)
        except grpc.RpcError:
            return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


def is_ready(url: str) -> bool:
    """Whether the gateway answers `/readyz` with 200."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=ASK_SECONDS)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def is_well(address: str) -> bool:
    """Whether a service is ready, by whichever way its address offers."""
    return is_ready(address) if address.startswith("http") else is_serving(address)


def answers(url: str) -> bool:
    """Whether somebody listens at the first host:port of an address."""
    first = urlsplit(url.split(",", 1)[0])
    try:
        port = first.port or (NATS_PORT if first.scheme in {"nats", "tls"} else POSTGRES_PORT)
        with socket.create_connection((first.hostname or "", port), timeout=ASK_SECONDS):
            return True
    except (OSError, ValueError):
        return False


def can_log_in(url: str, user: str, password: str) -> bool:
    """Whether the gateway gives a token for this password."""
    form = {"grant_type": "password", "username": user, "password": password}
    request = urllib.request.Request(f"{url}/v1/auth/token", urllib.parse.urlencode(form).encode())  # noqa: S310 our own http address
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 our own http address
            return bool(json.load(answer).get("access_token"))
    except (urllib.error.URLError, OSError, ValueError):
        return False
