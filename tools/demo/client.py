"""A client as anybody could write one: sign in, call, and wait until what was told has arrived."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

import httpx

T = TypeVar("T")
Json = dict[str, Any]

_PATIENCE_SECONDS = 30.0
_PAUSE_SECONDS = 0.05


class Refused(Exception):
    """The API refused a call; `problem` is what it said."""

    def __init__(self, status: int, problem: Json) -> None:
        super().__init__(
            f"{status} {problem.get('title', '')}: {problem.get('detail', '')} {problem.get('errors', '')}"
        )
        self.status = status
        self.problem = problem


class Person:
    """One signed-in member of staff."""

    def __init__(self, http: httpx.Client, username: str, password: str) -> None:
        answer = http.post("/v1/auth/token", data={"username": username, "password": password})
        _require(answer)
        self.username = username
        self._http = http
        self._headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}

    def get(self, path: str, **query: str) -> Json:
        """Reads a resource or a list."""
        return self._call("GET", path, params=query)

    def post(self, path: str, body: Json, **query: str) -> Json:
        """Creates something, or calls a verb."""
        return self._call("POST", path, json=body, params=query)

    def patch(self, path: str, body: Json) -> Json:
        """Changes the fields that the body has."""
        return self._call("PATCH", path, json=body)

    def upload(self, path: str, file_name: str, content: bytes, **form: str) -> Json:
        """Sends a file."""
        return self._call("POST", path, files={"file": (file_name, content)}, data=form)

    def _call(self, method: str, path: str, **arguments: Any) -> Json:
        answer = self._http.request(method, path, headers=self._headers, **arguments)
        _require(answer)
        found: Json = answer.json()
        return found


def wait_for(what: str, ask: Callable[[], T], enough: Callable[[T], bool]) -> tuple[T, float]:
    """Asks again until the answer is enough; returns it with the milliseconds that it took.

    Raises:
        TimeoutError: it did not happen within half a minute.
    """
    begin = time.monotonic()
    while True:
        answer = ask()
        passed = time.monotonic() - begin
        if enough(answer):
            return answer, passed * 1000
        if passed > _PATIENCE_SECONDS:
            raise TimeoutError(f"{what} did not arrive within {_PATIENCE_SECONDS:.0f} s; last seen: {answer}")
        time.sleep(_PAUSE_SECONDS)


def _require(answer: httpx.Response) -> None:
    if answer.is_error:
        try:
            problem = answer.json()
        except ValueError:
            problem = {"title": answer.reason_phrase, "detail": answer.text[:200]}
        raise Refused(answer.status_code, problem)
