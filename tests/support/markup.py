"""What a browser would make of a page: its elements and links, and whatever in them is not of the templates."""

import re
from dataclasses import dataclass, field
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlsplit

from receiver.telemetry.visible import visible
from support.hostile import COMPUTED, MARK

_TEMPLATES = Path(__file__).parents[2] / "receiver/pages/templates"
_JINJA = re.compile(r"\{%.*?%\}|\{#.*?#\}|\{\{.*?\}\}", re.DOTALL)
_ATTRIBUTE = re.compile(r"[\s'\"]([a-z][a-z-]*)=")
_LINKS = {"href", "src", "action", "formaction", "data", "xlink:href", "poster", "background", "ping", "data-stream"}
_BREAKS = "\n"


@dataclass
class Form:
    """`fields` with the values that they begin with."""

    method: str
    action: str
    fields: dict[str, str] = field(default_factory=dict)


class Markup(HTMLParser):
    """A parsed page."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: set[tuple[str, frozenset[str]]] = set()
        self.attributes: list[tuple[str, str, str]] = []
        self.texts: list[str] = []
        self.forms: list[Form] = []
        self._svg = 0
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self._svg += tag == "svg"
        # What is in a chart is not of a template, and is looked at as to its names and links alone.
        self.elements.add((f"svg {tag}" if self._svg else tag, frozenset(given)))
        self.attributes += [(tag, name, value) for name, value in given.items()]
        if tag == "form":
            self.forms.append(Form(given.get("method", "get").lower(), given.get("action", "")))
        if tag in {"input", "select", "button", "textarea"} and self.forms and "name" in given:
            self.forms[-1].fields[given["name"]] = given.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        self._svg -= tag == "svg"

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def handle_decl(self, decl: str) -> None:
        self.texts.append("" if decl == "doctype html" else f"<!{MARK} {decl}>{COMPUTED}")

    @property
    def links(self) -> list[str]:
        return [value for tag, name, value in self.attributes if (tag, name) == ("a", "href")]

    def faults(self) -> list[str]:
        """What is not of the templates, or would be obeyed."""
        tags, names = vocabulary()
        ours = [(tag, given) for tag, given in self.elements if not tag.startswith("svg ")]
        strange = [f"element {tag}" for tag, _ in ours if tag not in tags]
        strange += [f"attribute {tag} {name}" for tag, given in ours for name in given if name not in names]
        strange += [
            f"attribute {tag} {name}"
            for tag, given in self.elements
            for name in given
            if MARK in name or name.startswith("on") or name == "style"
        ]
        strange += [f"element {tag}" for tag, _ in self.elements if tag in {"svg script", "svg foreignobject"}]
        strange += [
            f"link {name}={value}" for _, name, value in self.attributes if name in _LINKS and _leads_off(value)
        ]
        strange += [
            f"script {value}"
            for tag, name, value in self.attributes
            if tag == "script" and name == "src" and not value.startswith("/static/")
        ]
        shown = [*self.texts, *(value for *_, value in self.attributes)]
        strange += [f"raw {text!r}" for text in shown if visible(text, keep=_BREAKS) != text]
        strange += [f"computed {text!r}" for text in shown if COMPUTED in text]
        return strange


def _leads_off(link: str) -> bool:
    try:
        parts = urlsplit(link)
    except ValueError:
        return True
    plain = link.isprintable() and link == link.strip() and "\\" not in link
    return not plain or parts.scheme not in {"", "http", "https"} or (not parts.scheme and bool(parts.netloc))


@cache
def vocabulary() -> tuple[set[str], set[str]]:
    """The elements of the templates, and their attributes."""
    sources = [file.read_text(encoding="utf-8") for file in _TEMPLATES.glob("*.html")]
    tags = {tag.removeprefix("svg ") for text in sources for tag, _ in Markup(_JINJA.sub(" ", text)).elements}
    # Some stand in a macro, apart from their element, and some have no value.
    named = {name for text in sources for name in _ATTRIBUTE.findall(text)}
    bare = {name for text in sources for _, given in Markup(_JINJA.sub(" ", text)).elements for name in given}
    return tags | {"input"}, named | bare
