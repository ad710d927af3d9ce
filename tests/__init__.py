"""Tests mirror `backend` and `ui`; `shapes` is what checks types while they run."""

from tests import shapes as shapes
