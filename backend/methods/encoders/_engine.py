"""Run a torch module on arrays: with OpenVINO on a CPU (2 to 10 times faster), or with PyTorch.

Both engines take and return float32 NumPy arrays. In one dtype they agree within a tested bound,
so an engine is no part of an encoder's fingerprint; the dtype is. What OpenVINO compiled may be
kept on disk (`_engine_cache`), where it gives the same numbers, bit by bit.
"""

from __future__ import annotations

import os
import queue
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from backend.errors import BadInputError
from backend.methods._torch import choose_device
from backend.methods.encoders._engine_cache import EngineCache, key_of

try:
    import openvino as ov
except ImportError:  # the installation for CUDA leaves it out
    ov = None

Engine = Callable[..., tuple[np.ndarray, ...]]
"""Takes and returns float32 arrays whose first axis is the batch; what a network gives as float16
stays so."""


def choose_dtype(dtype: str) -> str:
    """What `auto` means: float32 everywhere, so that a project's vectors fit on every machine."""
    return "float32" if dtype == "auto" else dtype


def choose_engine(engine: str, device: str) -> Literal["openvino", "torch"]:
    """What `auto` means: OpenVINO on a CPU where it is installed, else PyTorch.

    Raises:
        BadInputError: OpenVINO was asked for and is not installed, or the device is not the CPU.
    """
    if engine == "torch":
        return "torch"
    if engine not in ("auto", "openvino"):
        raise BadInputError(f"the engine {engine!r} is not known; there are auto, openvino, torch")
    if engine == "auto" and (ov is None or device != "cpu"):
        return "torch"
    if ov is None:
        raise BadInputError("openvino is not installed: run `pip install openvino`, or use torch")
    if device != "cpu":
        raise BadInputError(f"openvino runs on the CPU, not on {device}: choose the engine torch")
    return "openvino"


def compile_engine(
    module: nn.Module | Callable[[], nn.Module],
    example_inputs: Sequence[np.ndarray],
    *,
    engine: str = "auto",
    device: str = "auto",
    dtype: str = "auto",
    threads: int = 0,
    varying: int = 1,
    streams: int = 1,
    cache: str = "",
    identity: str = "",
) -> Engine:
    """A callable that runs `module` on arrays shaped like the examples; the first axis may vary.

    The callable may be used from several threads; calls wait for each other, or as many as
    `streams` says run at once.

    Args:
        module: A module that takes tensors and returns one tensor or a tuple of tensors, or what
            gives one: it is asked only if nothing compiled is in the cache.
        example_inputs: One array per input; the first axis is the batch.
        engine: "openvino", "torch" or "auto".
        device: A torch device such as "cpu" or "cuda", or "auto".
        dtype: Precision of the arithmetic, "float32", "bfloat16" or "auto". Inputs and outputs
            are float32 in any case.
        threads: Threads of OpenVINO, 0 for as many as this process may use. PyTorch's count is
            a setting of the whole process and is left alone.
        varying: How many leading axes may vary; 2 for texts of any length.
        streams: Calls that OpenVINO runs at once, its threads divided among them. PyTorch runs
            one call at a time.
        cache: Folder where OpenVINO's networks are kept, "" to keep none.
        identity: What decides the module's weights and form, beside the code in this room; needed
            for the cache.

    Raises:
        BadInputError: the engine cannot run on the device, or a choice is not known.
    """
    device, dtype = choose_device(device), choose_dtype(dtype)
    if dtype not in ("float32", "bfloat16"):
        raise BadInputError(f"the dtype {dtype!r} is not known; there are float32, bfloat16, auto")
    load = (lambda: module) if isinstance(module, nn.Module) else module
    if choose_engine(engine, device) == "openvino":
        return _compile_openvino(
            load,
            example_inputs,
            dtype=dtype,
            threads=threads,
            varying=varying,
            streams=streams,
            cache=EngineCache(Path(cache)) if cache and identity else None,
            identity=identity,
        )
    return _compile_torch(load().eval(), device=device, dtype=dtype)


def lazy_engine(
    load: Callable[[], nn.Module], example_inputs: Sequence[np.ndarray], **options: Any
) -> Engine:
    """`compile_engine` on the first call: a project whose vectors are stored opens without it.

    Args:
        load: Gives the module; called once at most.
        example_inputs: As for `compile_engine`.
        options: As for `compile_engine`.
    """
    lock = threading.Lock()
    made: list[Engine] = []

    def run(*arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        with lock:
            if not made:
                made.append(compile_engine(load, example_inputs, **options))
        return made[0](*arrays)

    return run


def _compile_openvino(
    load: Callable[[], nn.Module],
    example_inputs: Sequence[np.ndarray],
    *,
    dtype: str,
    threads: int,
    varying: int,
    streams: int,
    cache: EngineCache | None,
    identity: str,
) -> Engine:
    if ov is None:  # choose_engine has refused this already
        raise BadInputError("openvino is not installed")
    options: dict[str, object] = {
        "INFERENCE_PRECISION_HINT": "bf16" if dtype == "bfloat16" else "f32",
        # Left to itself, OpenVINO took one of two virtual cores.
        "INFERENCE_NUM_THREADS": usable_threads(threads),
        **({"PERFORMANCE_HINT": "LATENCY"} if streams == 1 else {"NUM_STREAMS": str(streams)}),
    }
    core = ov.Core()

    def compiled_anew() -> Any:
        return core.compile_model(_converted(load(), example_inputs, varying), "CPU", options)

    if cache is None:
        return _with_requests(compiled_anew(), streams)
    key = key_of(
        {
            "identity": identity,
            "inputs": [[str(array.dtype), *array.shape[varying:]] for array in example_inputs],
            "varying": varying,
            "options": options,
            "made by": [ov.get_version(), torch.__version__],
            "for": [
                core.get_property("CPU", "FULL_DEVICE_NAME"),
                sorted(core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")),
            ],
        }
    )
    compiled: Any = None
    blob = cache.load(key)
    if blob is not None:
        with suppress(RuntimeError):  # whole, and yet not what this OpenVINO reads
            compiled = core.import_model(blob, "CPU", options)
    if compiled is None:
        compiled = compiled_anew()
        cache.store(key, compiled.export_model().getvalue())
    return _with_requests(compiled, streams)


def _with_requests(compiled: Any, streams: int) -> Engine:
    """A compiled network that so many callers may ask at once; others wait for a free request."""
    free: queue.SimpleQueue[Any] = queue.SimpleQueue()
    for _ in range(streams):
        free.put(compiled.create_infer_request())
    count = len(compiled.outputs)

    def run(*arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        request = free.get()
        try:
            request.infer([np.ascontiguousarray(array) for array in arrays], share_inputs=True)
            found = (request.get_output_tensor(index).data for index in range(count))
            # Copied, since the next run writes into the same memory.
            return tuple(
                np.array(data, dtype=np.float16 if data.dtype == np.float16 else np.float32)
                for data in found
            )
        finally:
            free.put(request)

    return run


def _converted(module: nn.Module, example_inputs: Sequence[np.ndarray], varying: int) -> Any:
    """The module as OpenVINO's graph, its first axes free."""
    assert ov is not None  # noqa: S101  the caller has looked
    module = module.eval()
    examples = tuple(_example(array) for array in example_inputs)
    shapes = [
        ov.PartialShape([-1] * varying + list(array.shape[varying:])) for array in example_inputs
    ]
    with _traceable(), torch.no_grad():
        # Traced here, since OpenVINO's own call runs the module three more times to check itself.
        traced = torch.jit.trace(module, examples, check_trace=False)
        return ov.convert_model(traced, input=shapes)


def usable_threads(threads: int) -> int:
    """The threads asked for, or (0) as many as this process may use."""
    return threads or len(os.sched_getaffinity(0))


def _example(array: np.ndarray) -> torch.Tensor:
    """An example with a batch of at least 2: tracing would take an axis of length 1 for fixed."""
    tensor = torch.from_numpy(np.array(array))
    return tensor if len(tensor) > 1 else torch.cat([tensor, tensor])


def _compile_torch(module: nn.Module, *, device: str, dtype: str) -> Engine:
    module = module.to(device)
    lock = threading.Lock()
    precision = torch.bfloat16 if dtype == "bfloat16" else torch.float32

    def run(*arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        tensors = [torch.from_numpy(np.ascontiguousarray(array)).to(device) for array in arrays]
        autocast = torch.autocast(
            torch.device(device).type, dtype=precision, enabled=dtype != "float32"
        )
        with lock, torch.inference_mode(), autocast:
            outputs = module(*tensors)
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        return tuple(
            (output if output.dtype == torch.float16 else output.float()).cpu().numpy()
            for output in outputs
        )

    return run


@contextmanager
def _traceable() -> Iterator[None]:
    """PyTorch's fused attention kernel cannot be traced; the plain path gives the same numbers.

    The tracer's warnings on branches are silenced: the tests compare the engines at several sizes.
    """
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", torch.jit.TracerWarning)  # pyright: ignore
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)
