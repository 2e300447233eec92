"""The API as the people of the group use it: each with his own token, signed in anew when it runs out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import httpx

from tools.demo.client import Json, Refused

_SECONDS = 30.0
_SOON = timedelta(minutes=1)


class Api:
    """One client for everybody; `now` is the time that the system lives by."""

    def __init__(self, url: str, password: str, now: Callable[[], datetime]) -> None:
        self.http = httpx.Client(base_url=url, timeout=_SECONDS)
        self.now = now
        self.calls: Counter[str] = Counter()
        self._password = password
        self._passwords: dict[str, str] = {}
        self._tokens: dict[str, tuple[str, datetime]] = {}

    def close(self) -> None:
        """Closes its connections."""
        self.http.close()

    def knows(self, account: str, password: str) -> None:
        """An account with another password than everybody else's."""
        self._passwords[account] = password

    def get(self, who: str, path: str, **query: str) -> Json:
        """Reads a resource or a page of a list."""
        return self._call(who, "GET", path, params=query)

    def post(self, who: str, path: str, body: Json, **query: str) -> Json:
        """Creates something, or calls a verb."""
        return self._call(who, "POST", path, json=body, params=query)

    def upload(self, who: str, path: str, file_name: str, content: bytes, **form: str) -> Json:
        """Sends a file."""
        return self._call(who, "POST", path, files={"file": (file_name, content)}, data=form)

    def every(self, who: str, path: str, field: str, **query: str) -> Iterator[Json]:
        """All elements of a list, page by page."""
        token = ""
        while True:
            page = self.get(who, path, pageSize="200", pageToken=token, **query)
            yield from page[field]
            token = page["nextPageToken"]
            if not token:
                return

    def _call(self, who: str, method: str, path: str, **arguments: Any) -> Json:
        headers = {"Authorization": f"Bearer {self._token(who)}"}
        answer = self.http.request(method, path, headers=headers, **arguments)
        self.calls[method] += 1
        if answer.is_error:
            problem = (
                answer.json() if "json" in answer.headers.get("content-type", "") else {"title": answer.text[:200]}
            )
            raise Refused(answer.status_code, problem | {"detail": f"{problem.get('detail', '')} ({method} {path})"})
        found: Json = answer.json()
        return found

    def _token(self, who: str) -> str:
        token, until = self._tokens.get(who, ("", None))
        if until is None or self.now() >= until:
            password = self._passwords.get(who, self._password)
            answer = self.http.post("/v1/auth/token", data={"username": who, "password": password})
            self.calls["sign-in"] += 1
            if answer.is_error:
                raise Refused(answer.status_code, {"title": "sign-in refused", "detail": f"{who}: {answer.text[:200]}"})
            token = answer.json()["access_token"]
            self._tokens[who] = token, self.now() + timedelta(seconds=answer.json()["expires_in"]) - _SOON
        return token
