"""What browser tests wait for on every page: that it is there, and that everything is saved."""

from __future__ import annotations

from typing import Any

HOLD = """paths => {
  const ask = window.fetch, gates = new Map(), open = new Map();
  for (const path of paths) gates.set(path, new Promise(done => open.set(path, done)));
  window.letGo = path => { gates.delete(path); open.get(path)(); };
  window.asked = [];
  window.fetch = async (url, options) => {
    const { pathname, searchParams } = new URL(url, location);
    asked.push(`${pathname} ${searchParams.get('sample') ?? ''}`.trim());
    await gates.get(pathname);
    return ask(url, options);
  };
}"""
"""What a page asks of these paths waits until `letGo(path)`; `asked` is all that was asked."""

LABEL_READY = '[data-testid="page"][data-page="label"][data-ready]'


def ready(page: Any, name: str) -> None:
    """Wait until a page of the app is there with all that it shows."""
    page.wait_for_selector(f'[data-testid=page][data-page={name}][data-ready="1"]')


def saved(page: Any) -> None:
    """Wait until the bar says that the server has all verdicts."""
    page.wait_for_selector("[data-testid=save-state][data-state=saved]")


def told(page: Any, words: str) -> None:
    """Wait until a message with these words was shown, however long it stayed."""
    page.wait_for_function(
        "words => (window.toasts ?? []).some(text => text.includes(words))", arg=words
    )
