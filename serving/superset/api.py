"""Superset's REST API, as a session that has logged in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPException
from http.cookiejar import CookieJar
from typing import Any, Final
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import HTTPCookieProcessor, OpenerDirector, Request, build_opener
from uuid import uuid4

from serving.errors import SupersetAnswerError

TIMEOUT_S: Final = 600.0
PAGE: Final = 100


def answers(url: str, timeout_s: float = 2.0) -> bool:
    """True when the Superset at ``url`` says that it is well."""
    try:
        with build_opener().open(f"{url.rstrip('/')}/health", timeout=timeout_s) as answer:
            return bool(answer.status == 200)
    except (OSError, HTTPException):
        return False


@dataclass(frozen=True, slots=True)
class SupersetApi:
    """A session of one user."""

    url: str
    _opener: OpenerDirector
    _headers: dict[str, str]

    @classmethod
    def login(cls, url: str, username: str, password: str) -> SupersetApi:
        """Log in.

        Raises:
            SupersetAnswerError: it does not answer, or does not know this user and password.
        """
        opener = build_opener(HTTPCookieProcessor(CookieJar()))
        session = cls(url.rstrip("/"), opener, {})
        said = session.post(
            "security/login", {"username": username, "password": password, "provider": "db"}
        )
        session._headers["Authorization"] = f"Bearer {said['access_token']}"
        session._headers["X-CSRFToken"] = session.get("security/csrf_token/")["result"]
        session._headers["Referer"] = session.url
        return session

    def get(self, path: str, **query: Any) -> Any:
        """Return the answer to ``/api/v1/<path>``; ``query`` becomes the parameter ``q``.

        Raises:
            SupersetAnswerError: it does not answer, or refuses.
        """
        asked = f"?q={quote(_rison(query))}" if query else ""
        return self._send("GET", path + asked, None, {})

    def every(self, path: str, **query: Any) -> Iterator[dict[str, Any]]:
        """Yield all rows of a list, page by page.

        Raises:
            SupersetAnswerError: as above.
        """
        page = seen = 0
        while True:
            said = self.get(path, page=page, page_size=PAGE, **query)
            yield from said["result"]
            seen += len(said["result"])
            if not said["result"] or seen >= said["count"]:
                return
            page += 1

    def post(self, path: str, body: Any) -> Any:
        """Send JSON.

        Raises:
            SupersetAnswerError: as above.
        """
        return self._json("POST", path, body)

    def put(self, path: str, body: Any) -> Any:
        """Change something.

        Raises:
            SupersetAnswerError: as above.
        """
        return self._json("PUT", path, body)

    def delete(self, path: str) -> None:
        """Delete something.

        Raises:
            SupersetAnswerError: as above.
        """
        self._send("DELETE", path, None, {})

    def upload(self, path: str, field: str, name: str, content: bytes) -> None:
        """Send a file as a form does.

        Raises:
            SupersetAnswerError: as above.
        """
        mark = uuid4().hex
        head = (
            f'--{mark}\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        )
        body = head.encode() + content + f"\r\n--{mark}--\r\n".encode()
        self._send("POST", path, body, {"Content-Type": f"multipart/form-data; boundary={mark}"})

    def _json(self, method: str, path: str, body: Any) -> Any:
        return self._send(
            method, path, json.dumps(body).encode(), {"Content-Type": "application/json"}
        )

    def _send(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Any:
        request = Request(  # noqa: S310 - the address is the user's own
            f"{self.url}/api/v1/{path}",
            data=body,
            method=method,
            headers={**self._headers, **headers, "Accept": "application/json"},
        )
        try:
            with self._opener.open(request, timeout=TIMEOUT_S) as answer:
                return json.loads(answer.read() or b"null")
        except HTTPError as error:
            said = error.read().decode(errors="replace")[:600]
            if error.code == 401 and path == "security/login":
                raise SupersetAnswerError(
                    f"Superset at {self.url} does not know this user and password",
                    hint="LAKEWARD_SUPERSET_USER and _PASSWORD name an administrator of it",
                ) from error
            raise SupersetAnswerError(
                f"Superset at {self.url} refuses {method} {path}: {error.code} {said}"
            ) from error
        except (OSError, HTTPException, ValueError) as error:
            raise SupersetAnswerError(
                f"Superset at {self.url} does not answer: {error}",
                hint="start it with lakeward superset up, or name yours with LAKEWARD_SUPERSET_URL",
            ) from error


def _rison(value: Any) -> str:
    """Return ``value`` in the notation of Superset's list queries, which JSON is also taken for."""
    return json.dumps(value)
