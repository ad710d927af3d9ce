"""Where a timm backbone's weights come from: a file, a folder, this machine's cache, a download."""

from __future__ import annotations

import contextlib
import difflib
import pickle
import sys
from pathlib import Path
from typing import Any

from torch import nn

from backend.errors import BadInputError, NotFoundError, OfflineError, PatchlaneError
from backend.methods.encoders._available import telling_what_there_is
from backend.methods.encoders._hub import no_downloads, one_line, why_not_fetched
from backend.methods.encoders._pictures import Form
from backend.methods.encoders._torchvision_shim import allow_torchvision
from backend.types import Kind

allow_torchvision()
import timm  # noqa: E402  (timm imports torchvision, which the line above makes importable)
from timm.data.config import resolve_data_config  # noqa: E402

ELSEWHERE = ("hf-hub:", "local-dir:")
SUFFIXES = (".safetensors", ".pt", ".pth", ".bin")


def load_timm(model: str, file: str, *, is_offline: bool) -> tuple[nn.Module, Form]:
    """A backbone without its classifier, frozen, in evaluation mode, and the form of its pictures.

    Every refusal ends with what is available offline.

    Args:
        model: a name that timm knows, "local-dir:FOLDER" or "hf-hub:OWNER/NAME".
        file: of weights; "" for the pretrained ones of that name.
        is_offline: never download.

    Raises:
        NotFoundError: timm knows no such model, or there is no such file.
        OfflineError: it would have to be downloaded, and downloads are off or nothing came.
        BadInputError: the weights do not fit the model or are no safe file of weights.
    """
    with telling_what_there_is(Kind.IMAGE):
        network = _loaded(model, file, is_offline=is_offline).eval().requires_grad_(False)
        return network, _form_of(network, model)


def _loaded(model: str, file: str, *, is_offline: bool) -> nn.Module:
    if not model:
        raise BadInputError("timm: names no model; write timm:NAME or timm:NAME/FILE")
    if not model.startswith(ELSEWHERE) and not timm.is_model(model.partition(".")[0]):
        known = difflib.get_close_matches(model, timm.list_models(), 4, 0.4)
        near = ", ".join(known) or "vit_base_patch16_224, resnet50"
        raise NotFoundError(f"timm knows no model {model!r}; near it are {near}")
    try:
        if file and not model.startswith(ELSEWHERE):
            network = timm.create_model(model, pretrained=False, num_classes=0)
            _load_file(network, Path(file).expanduser(), model)
            return network
        return _load_pretrained(model, is_offline=is_offline)
    except PatchlaneError:
        raise
    except Exception as error:
        raise _explained(error, model) from error


def _explained(error: Exception, model: str) -> PatchlaneError:
    if isinstance(error.__cause__ or error, pickle.UnpicklingError):  # timm wraps it
        return BadInputError(
            f"the weights of timm:{model} hold more than tensors and were not loaded; save "
            "them as .safetensors"
        )
    if reason := why_not_fetched(error):
        return OfflineError(f"the weights of timm:{model} could not be downloaded: {reason}")
    if isinstance(error, OSError):
        return BadInputError(f"timm:{model} could not be loaded: {one_line(error)}")
    return BadInputError(f"the weights do not fit timm:{model}: {one_line(error)}")


def _load_file(network: nn.Module, path: Path, model: str) -> None:
    if not path.is_file():
        raise NotFoundError(f"there is no file of weights {path.name!r} for timm:{model}")
    if path.suffix not in SUFFIXES:
        raise BadInputError(f"{path.name} is no file of weights; known are {', '.join(SUFFIXES)}")
    found = timm.models.load_state_dict(str(path), weights_only=True)
    if not set(network.state_dict()) <= set(found):
        # Other people's names for the same tensors, which the model's own file in timm knows.
        renamed = getattr(sys.modules[type(network).__module__], "checkpoint_filter_fn", None)
        found = found if renamed is None else renamed(found, network)
    missing, unexpected = network.load_state_dict(found, strict=False)
    named = getattr(network, "pretrained_cfg", {}).get("classifier") or ()
    heads = tuple(f"{one}." for one in ([named] if isinstance(named, str) else named))
    unexpected = [name for name in unexpected if not name.startswith(heads)]
    if missing or unexpected:
        raise BadInputError(
            f"{path.name} does not fit timm:{model}: {len(missing)} tensors are missing"
            f"{_first(missing)}, {len(unexpected)} are not the model's{_first(unexpected)}"
        )


def _first(names: list[str]) -> str:
    return f" ({names[0]} first)" if names else ""


def _load_pretrained(model: str, *, is_offline: bool) -> nn.Module:
    if not model.startswith(ELSEWHERE):
        known: Any = timm.get_pretrained_cfg(model, allow_unregistered=False)
        if known is None or not known.has_weights:
            raise BadInputError(
                f"timm has no pretrained weights for {model}; give a file: timm:{model}/FILE"
            )
    try:
        with no_downloads() if is_offline else contextlib.nullcontext():
            if is_offline and _is_by_url(model):
                raise ConnectionError("its weights are a download")
            return timm.create_model(model, pretrained=True, num_classes=0)
    except Exception as error:
        if not (is_offline and why_not_fetched(error)):
            raise
        raise OfflineError(
            f"the weights of timm:{model} are not on this machine and downloads are off; set "
            "PATCHLANE_OFFLINE=0 to fetch them, or give a file: timm:NAME/FILE"
        ) from error


def _is_by_url(model: str) -> bool:
    """Weights that timm fetches without the hub, so that its switch does not hold them."""
    if model.startswith(ELSEWHERE):
        return False
    known: Any = timm.get_pretrained_cfg(model)
    return not known.hf_hub_id and not known.file


def _form_of(network: nn.Module, model: str) -> Form:
    wanted: dict[str, Any] = resolve_data_config({}, model=network)
    channels, height, width = wanted["input_size"]
    if channels != 3:
        raise BadInputError(f"timm:{model} takes pictures of {channels} channels, not of 3")
    return Form(
        size=(int(height), int(width)),
        mean=tuple(wanted["mean"]),
        std=tuple(wanted["std"]),
        interpolation=wanted["interpolation"],
    )
