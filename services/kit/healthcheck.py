"""`python -m kit.healthcheck`: ends with 0 when the service in this container takes work, else with 1.

For engines that ask by running a program. It imports next to nothing, because it runs every few seconds.
"""

import http.client
import os
import sys

_SECONDS = 3


def is_ready(listen: str) -> bool:
    """Whether the probe that listens at host:port answers /readyz with 200."""
    connection = http.client.HTTPConnection("127.0.0.1", int(listen.rpartition(":")[2]), timeout=_SECONDS)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(0 if is_ready(os.environ["DEALERLOOP_METRICS_LISTEN"]) else 1)
