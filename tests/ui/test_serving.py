"""`serve --json` as a program starts it: one document on stdout, once requests are answered."""

from __future__ import annotations

import json
import signal

import httpx
import pytest

from backend import api
from tests.started import started


def test_json_is_one_document_that_a_program_can_start_from(home: api.Settings) -> None:
    with started(home, "serve", "notes", "--json") as process:
        told = json.loads(process.stdout.readline())
        assert set(told) == {"url", "project"}
        assert told["project"] == "notes"
        # No retry: what is said to be up answers.
        assert httpx.get(told["url"]).status_code == 200
        base = httpx.URL(told["url"])
        assert base.params["project"] == "notes"
        assert httpx.get(base.join("/pl/api/item?sample=99")).status_code == 404
        process.send_signal(signal.SIGINT)
        out, said = process.communicate(timeout=60)
    assert out == "", "nothing comes after it"
    assert "NotFoundError" in said, "what is logged is on stderr"


@pytest.mark.slow
def test_without_json_a_line_says_where_it_is(home: api.Settings) -> None:
    with started(home, "serve") as process:
        line = process.stdout.readline()
        assert line.startswith("Patchlane is at http://127.0.0.1:")
        assert line.endswith("/\n")
