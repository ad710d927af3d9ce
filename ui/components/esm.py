"""A widget whose behaviour is an ES module below `ui/static`, loaded by content hash.

The template handed to Gradio is constant: Gradio runs templates through Handlebars and then
through `new Function`, so data in one would be code. Data reaches a module by its own requests to
`/pl/api/...`, or as a small JSON handle in `value`.
"""

from __future__ import annotations

import hashlib
import json
from abc import ABCMeta
from pathlib import Path
from typing import Any, ClassVar

import gradio as gr
from gradio.component_meta import ComponentMeta, updateable

STATIC = Path(__file__).resolve().parents[1] / "static"
TEXTS = STATIC.parent / "texts"
STATIC_URL = "/pl/static"


def _digest() -> str:
    """A hash of everything served below `STATIC_URL`: a changed file has a new address."""
    digest = hashlib.sha256()
    for file in sorted([*STATIC.iterdir(), *TEXTS.iterdir()]):
        if file.is_file():
            digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:12]


ASSET_VERSION = _digest()


class _WithoutStub(ComponentMeta):
    """Makes component classes without the `.pyi` file that Gradio writes beside each of them.

    A stub in the tree would shadow the module for type checkers, and an installed package may lie
    in a folder that cannot be written. Our widgets add no `EVENTS`, the rest of Gradio's work.
    """

    def __new__(cls, name: str, bases: tuple[type, ...], attrs: dict[str, Any]) -> type:
        if "__init__" in attrs:
            attrs["__init__"] = updateable(attrs["__init__"])
        return ABCMeta.__new__(cls, name, bases, attrs)


class EsmComponent(gr.HTML, metaclass=_WithoutStub):
    """Base of Patchlane's widgets; a subclass says which module draws it.

    The module exports `mount({root, element, props, trigger, watch})`, called once per mount;
    `root` is the widget's own empty element.

    Attributes:
        module: file name below `ui/static`.
        css_class: class of the root element.
        events_out: names the module may `trigger`; Gradio listens only for names it finds here.
    """

    module: ClassVar[str]
    css_class: ClassVar[str] = "pl-widget"
    events_out: ClassVar[tuple[str, ...]] = ()

    def __init__(self, value: Any = None, **kwargs: Any) -> None:
        url = json.dumps(f"{STATIC_URL}/{ASSET_VERSION}/{self.module}")
        root = json.dumps(f".{self.css_class}")
        boot = (
            f"/* events: {json.dumps(list(self.events_out))} */\n"
            f"const root = element.querySelector({root});\n"
            f"import({url})\n"
            "  .then(m => m.mount({root, element, props, trigger, watch}))\n"
            "  .catch(e => { root.textContent = 'This part of the page could not start: ' + e;"
            " console.error(e); });"
        )
        kwargs.setdefault("apply_default_css", False)
        kwargs.setdefault("padding", False)
        kwargs.setdefault("container", False)
        super().__init__(
            value=value,
            html_template=f"<div class='{self.css_class}'></div>",
            css_template="",
            js_on_load=boot,
            **kwargs,
        )

    def preprocess(self, payload: Any) -> Any:
        """JSON both ways: gr.HTML would make a string of it."""
        return payload

    def postprocess(self, value: Any) -> Any:
        """JSON both ways: gr.HTML would make a string of it."""
        return value

    def api_info(self) -> dict[str, Any]:
        """The shape of `value` for Gradio's own description of the page."""
        return {"type": "object", "description": f"handle of {type(self).__name__}"}

    def example_payload(self) -> Any:
        """An empty handle."""
        return {}

    def example_value(self) -> Any:
        """An empty handle."""
        return {}
