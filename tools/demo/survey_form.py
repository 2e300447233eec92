"""Filling in the public survey page as a browser without JavaScript would."""

from __future__ import annotations

from html.parser import HTMLParser


class SurveyForm(HTMLParser):
    """The fields of the first form of a page: what is chosen, hidden or written."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.choices: dict[str, list[str]] = {}
        self.hidden: dict[str, str] = {}
        self.texts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collects one field."""
        attributes = {name: value or "" for name, value in attrs}
        name = attributes.get("name", "")
        if not name:
            return
        if tag == "textarea":
            self.texts.append(name)
        elif tag == "input" and attributes.get("type") == "radio":
            self.choices.setdefault(name, []).append(attributes.get("value", ""))
        elif tag == "input" and attributes.get("type") == "hidden":
            self.hidden[name] = attributes.get("value", "")

    def filled(self, prefer: dict[str, str], fallback: str, comment: str) -> dict[str, str]:
        """What is sent: the preferred value where one is named, else `fallback` where the question offers it."""
        sent = dict(self.hidden)
        for name, values in self.choices.items():
            value = prefer.get(name, fallback)
            if value in values:
                sent[name] = value
        return sent | dict.fromkeys(self.texts, comment)
