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
from backend.methods.encoders._available import telling_what_there_is
from backend.methods.encoders._hub import no_downloads, one_line, why_not_fetched
from backend.methods.encoders._pictures import Form
from backend.methods.encoders._torchvision_shim import allow_torchvision
from backend.types import Kind

allow_torchvision()
import open_clip  # noqa: E402  (it imports torchvision, which the line above makes importable)
from open_clip import factory, pretrained  # noqa: E402

HUB = "hf-hub:"
FOLDER = "local-dir:"
FAMILIES = {Kind.IMAGE: "open_clip", Kind.TEXT: "open_clip_text"}
"""What the ids of encoders begin with that use the one tower or the other."""
SUFFIXES = (".safetensors", ".pt", ".pth", ".bin")


@dataclass(frozen=True)
class ClipModel:
    """A loaded model with its tokenizer and how it wants its pictures."""

    model: nn.Module
    tokenizer: Any
    form: Form


def load_clip(
    model: str, tag_or_file: str, *, is_offline: bool, kind: Kind = Kind.IMAGE
) -> ClipModel:
    """Load an open_clip model by name and tag, name and checkpoint, folder, or hub name.

    Every refusal ends with what is available offline for samples of this kind.

    Raises:
        NotFoundError: open_clip knows no such model or tag; the known ones are listed.
        OfflineError: it would have to be downloaded, and downloads are off or nothing came.
        BadInputError: the weights do not fit the model or are no safe file of weights.
    """
    with telling_what_there_is(kind, lambda: _fetched_before(FAMILIES[kind])):
        called = f"{FAMILIES[kind]}:{model}/{tag_or_file}".rstrip("/")
        return _loaded(model, tag_or_file, called, is_offline=is_offline)


def _loaded(model: str, tag_or_file: str, called: str, *, is_offline: bool) -> ClipModel:
    if model.startswith(HUB) and is_offline:
        model = FOLDER + str(_cached_snapshot(model.removeprefix(HUB)))
    offline = no_downloads() if is_offline else contextlib.nullcontext()
    with offline, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on model code that is about to change; not ours to act on
        try:
            if model.startswith(HUB):
                # open_clip goes on without weights that it did not get, and then tells of another
                # fault; asked first, it says why.
                pretrained.download_pretrained_from_hf(model.removeprefix(HUB))
            if model.startswith((HUB, FOLDER)):
                network = open_clip.create_model(model, require_pretrained=True, weights_only=True)
            else:
                network = _load_named(model, tag_or_file, is_offline=is_offline)
            tokenizer = _tokenizer(model, is_offline=is_offline)
        except PatchlaneError:
            raise
        except Exception as error:
            raise _explained(error, called) from error
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
            f"{model} names no weights; add a file or a tag, as in open_clip:{model}/"
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
            f"PATCHLANE_OFFLINE=0 to fetch them, or give a file: open_clip:{model}/FILE"
        )
    return path


def _fetched_before(family: str) -> list[str]:
    """The encoders of a family whose weights an earlier download left on this machine."""
    return [
        f"{family}:{model}/{tag}"
        for model, tag in open_clip.list_pretrained()
        if _cached(pretrained.get_pretrained_cfg(model, tag)) is not None
    ]


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
            f"PATCHLANE_OFFLINE=0 to fetch it, or give a folder: {FOLDER}FOLDER"
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
            f"PATCHLANE_OFFLINE=0 to fetch it, or give a folder with its files: {FOLDER}FOLDER"
        ) from error


def _explained(error: Exception, called: str) -> PatchlaneError:
    if isinstance(error, pickle.UnpicklingError):
        return BadInputError(
            f"the weights of {called} hold more than tensors and were not loaded; "
            "save them as .safetensors"
        )
    if reason := why_not_fetched(error):
        return OfflineError(f"{called} could not be downloaded: {reason}")
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return NotFoundError(f"{called} was not found: {one_line(error)}")
    if isinstance(error, OSError):
        return BadInputError(f"{called} could not be loaded: {one_line(error)}")
    return BadInputError(f"the weights do not fit {called}: {one_line(error)}")
