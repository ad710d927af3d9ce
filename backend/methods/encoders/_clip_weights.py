"""Where an open_clip model's weights come from: a file, a folder, this machine's cache, a download.

Nothing is downloaded unless asked for, pickled objects are never run, and whatever is missing is
said in one sentence with what there is instead.
"""

from __future__ import annotations

import contextlib
import pickle
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import huggingface_hub
from huggingface_hub.errors import LocalEntryNotFoundError
from torch import nn

from backend.errors import BadInputError, NotFoundError, OfflineError, PatchlaneError
from backend.methods.encoders._hub import no_downloads
from backend.methods.encoders._pictures import Form
from backend.methods.encoders._torchvision_shim import allow_torchvision

allow_torchvision()
import open_clip  # noqa: E402  (it imports torchvision, which the line above makes importable)
from open_clip import factory, pretrained  # noqa: E402

HUB = "hf-hub:"
FOLDER = "local-dir:"
SUFFIXES = (".safetensors", ".pt", ".pth", ".bin")


@dataclass(frozen=True)
class ClipModel:
    """A loaded model with its tokenizer and how it wants its pictures."""

    model: nn.Module
    tokenizer: Any
    form: Form


def load_clip(model: str, tag_or_file: str, *, is_offline: bool) -> ClipModel:
    """Load an open_clip model by name and tag, name and checkpoint, folder, or hub name.

    Raises:
        NotFoundError: open_clip knows no such model or tag; the known ones are listed.
        OfflineError: it would have to be downloaded and downloads are off.
        BadInputError: the weights do not fit the model or are no safe file of weights.
    """
    if model.startswith(HUB) and is_offline:
        model = FOLDER + str(_cached_snapshot(model.removeprefix(HUB)))
    offline = no_downloads() if is_offline else contextlib.nullcontext()
    with offline, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on model code that is about to change; not ours to act on
        try:
            if model.startswith((HUB, FOLDER)):
                network = open_clip.create_model(model, require_pretrained=True, weights_only=True)
            else:
                network = _load_named(model, tag_or_file, is_offline=is_offline)
            tokenizer = _tokenizer(model, is_offline=is_offline)
        except PatchlaneError:
            raise
        except Exception as error:
            raise _explained(error, f"{model}/{tag_or_file}".rstrip("/")) from error
    wanted: dict[str, Any] = open_clip.get_model_preprocess_cfg(network)
    size = wanted["size"]
    return ClipModel(
        model=network.eval().requires_grad_(False),
        tokenizer=tokenizer,
        form=Form(
            size=(size, size) if isinstance(size, int) else (int(size[0]), int(size[1])),
            mean=tuple(wanted["mean"]),
            std=tuple(wanted["std"]),
            interpolation=wanted["interpolation"],
        ),
    )


def _load_named(model: str, tag_or_file: str, *, is_offline: bool) -> nn.Module:
    if open_clip.get_model_config(model) is None:
        raise NotFoundError(
            f"open_clip knows no model {model!r}; some are ViT-B-32, ViT-B-16, ViT-L-14, RN50, "
            f"ViT-B-16-SigLIP, convnext_base ({len(open_clip.list_models())} in all)"
        )
    tags = open_clip.list_pretrained_tags_by_model(model)
    path = Path(tag_or_file).expanduser()
    if tag_or_file in tags:
        wanted: dict[str, Any] = pretrained.get_pretrained_cfg(model, tag_or_file)
        path = _find_or_download(model, tag_or_file, wanted, is_offline=is_offline)
    elif tag_or_file and path.is_file():
        wanted = _usual_preprocessing(model, tags)
    elif not tag_or_file:
        raise BadInputError(
            f"open_clip:{model} names no weights; add a file or a tag, as in open_clip:{model}/"
            f"{tags[0] if tags else 'FILE'}"
        )
    else:
        raise NotFoundError(
            f"{tag_or_file!r} is neither a file nor a tag of {model}; its tags are "
            f"{', '.join(tags) or 'none'}"
        )
    if path.suffix not in SUFFIXES:
        raise BadInputError(f"{path.name} is no file of weights; known are {', '.join(SUFFIXES)}")
    network: Any = open_clip.create_model(
        model,
        load_weights=False,
        pretrained_text=False,
        force_quick_gelu=bool(wanted.get("quick_gelu")),
        force_preprocess_cfg=wanted,
    )
    factory.load_checkpoint(network, str(path), strict=True, weights_only=True)
    return network


def _usual_preprocessing(model: str, tags: list[str]) -> dict[str, Any]:
    """What the known weights of a model agree on; a bare file does not say what it was fed."""
    known = [pretrained.get_pretrained_cfg(model, tag) for tag in tags]
    keys = ("mean", "std", "interpolation")
    return {
        key: known[0][key]
        for key in keys
        if known and all(one.get(key) == known[0].get(key) for one in known)
    }


def _find_or_download(model: str, tag: str, wanted: dict[str, Any], *, is_offline: bool) -> Path:
    if not is_offline:
        return Path(pretrained.download_pretrained(wanted))
    path = _cached(wanted)
    if path is None:
        raise OfflineError(
            f"the weights {tag!r} of {model} are not on this machine and downloads are off; set "
            f"PATCHLANE_OFFLINE=0 to fetch them, or give a file: open_clip:{model}/FILE. "
            f"Available offline: {', '.join(available_offline())}"
        )
    return path


def available_offline() -> list[str]:
    """The image encoders that need no download: the embedded one, and tags fetched before."""
    found = [
        f"open_clip:{model}/{tag}"
        for model, tag in open_clip.list_pretrained()
        if _cached(pretrained.get_pretrained_cfg(model, tag)) is not None
    ]
    return ["embedded", *found]


def _cached(wanted: dict[str, Any]) -> Path | None:
    """The file of a tag where open_clip's downloads put it."""
    repository, name = str(wanted.get("hf_hub") or "").rpartition("/")[::2]
    if repository:
        for file in (name, Path(name).with_suffix(".safetensors").name) if name else _HUB_FILES:
            path = huggingface_hub.try_to_load_from_cache(repository, file)
            if isinstance(path, str):
                return Path(path)
    url = str(wanted.get("url") or "")
    path = Path("~/.cache/clip").expanduser() / url.rpartition("/")[2]
    return path if url and path.is_file() else None


_HUB_FILES = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")


def _cached_snapshot(repository: str) -> Path:
    try:
        return Path(huggingface_hub.snapshot_download(repository, local_files_only=True))
    except (LocalEntryNotFoundError, ValueError) as error:
        raise OfflineError(
            f"the model {repository!r} is not on this machine and downloads are off; set "
            "PATCHLANE_OFFLINE=0 to fetch it, or give a folder: open_clip:local-dir:FOLDER. "
            f"Available offline: {', '.join(available_offline())}"
        ) from error


def _tokenizer(model: str, *, is_offline: bool) -> Any:
    text: dict[str, Any] = (open_clip.get_model_config(model) or {}).get("text_cfg", {})
    by_url = not text.get("hf_tokenizer_name") and "siglip" in model.lower()
    try:
        if by_url and is_offline and not model.startswith(FOLDER):
            raise OSError("its vocabulary is a download")
        return open_clip.get_tokenizer(model)
    except Exception as error:
        if not is_offline:
            raise
        raise OfflineError(
            f"the tokenizer of {model} is not on this machine and downloads are off; set "
            "PATCHLANE_OFFLINE=0 to fetch it, or give a folder with its files: "
            f"open_clip:local-dir:FOLDER. Available offline: {', '.join(available_offline())}"
        ) from error


def _explained(error: Exception, name: str) -> PatchlaneError:
    reason = " ".join(str(error).split())[:200]
    if isinstance(error, pickle.UnpicklingError):
        return BadInputError(
            f"the weights of {name} hold more than tensors and were not loaded; "
            "save them as .safetensors"
        )
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return NotFoundError(f"open_clip:{name} was not found: {reason}")
    return BadInputError(f"the weights do not fit open_clip:{name}: {reason}")
