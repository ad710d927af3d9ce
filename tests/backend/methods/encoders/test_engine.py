import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch import nn

from backend.errors import BadInputError
from backend.methods.encoders._engine import (
    choose_dtype,
    choose_engine,
    compile_engine,
)
from backend.methods.encoders._torchvision_shim import allow_torchvision


class Attention(nn.Module):
    """Two outputs, a convolution and an encoder layer whose fast path cannot be traced."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 8, stride=8)
        self.layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)

    def forward(self, x):
        tokens = self.layer(self.stem(x).flatten(2).transpose(1, 2))
        return tokens, tokens.mean(1)


@pytest.fixture
def module():
    torch.manual_seed(0)
    return Attention().eval()


@pytest.fixture
def images():
    return np.random.default_rng(0).normal(size=(5, 3, 32, 32)).astype(np.float32)


@pytest.mark.parametrize(("dtype", "bound"), [("float32", 1e-5), ("bfloat16", 0.1)])
@pytest.mark.parametrize("engine", ["openvino", "torch"])
def test_an_engine_gives_what_the_module_gives_at_any_batch_size(
    module, images, engine, dtype, bound
):
    with torch.inference_mode():
        truth = [output.numpy() for output in module(torch.from_numpy(images))]
    run = compile_engine(module, [images[:1]], engine=engine, device="cpu", dtype=dtype, threads=1)
    for rows in (slice(0, 5), slice(0, 1), slice(2, 5)):
        outputs = run(images[rows])
        assert len(outputs) == 2
        for output, expected in zip(outputs, truth, strict=True):
            assert output.dtype == np.float32
            assert output.shape == expected[rows].shape
            assert np.abs(output - expected[rows]).max() < bound


def test_answers_are_not_overwritten_by_the_next_call(module, images):
    run = compile_engine(module, [images[:1]], engine="openvino", device="cpu", threads=1)
    (first, _) = run(images[:2])
    kept = first.copy()
    run(images[3:5])
    assert np.array_equal(first, kept)


def test_calls_from_several_threads_do_not_mix(module, images):
    run = compile_engine(module, [images[:1]], engine="openvino", device="cpu", threads=1)
    alone = [run(images[i : i + 1])[1] for i in range(5)]
    mixed: dict[int, np.ndarray] = {}

    def work(i):
        for _ in range(20):
            mixed[i] = run(images[i : i + 1])[1]

    threads = [threading.Thread(target=work, args=(i,)) for i in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(mixed[i], alone[i]) for i in range(5))


@pytest.mark.slow
def test_tracing_leaves_the_attention_setting_as_it_was(module, images):
    assert torch.backends.mha.get_fastpath_enabled()
    compile_engine(module, [images[:1]], engine="openvino", device="cpu", threads=1)
    assert torch.backends.mha.get_fastpath_enabled()


def test_auto_chooses_openvino_on_the_cpu_and_torch_elsewhere():
    assert choose_engine("auto", "cpu") == "openvino"
    assert choose_engine("auto", "cuda") == "torch"
    assert choose_dtype("auto") == "float32"
    with pytest.raises(BadInputError, match="not on cuda"):
        choose_engine("openvino", "cuda")
    with pytest.raises(BadInputError, match="tensorflow"):
        choose_engine("tensorflow", "cpu")


def test_an_unknown_dtype_is_refused_by_name(module, images):
    with pytest.raises(BadInputError, match="float12"):
        compile_engine(module, [images[:1]], device="cpu", dtype="float12")


def test_torchvision_can_be_imported_and_a_second_call_changes_nothing():
    allow_torchvision()
    import torchvision

    assert torchvision.transforms is not None
    assert allow_torchvision() is False


@pytest.mark.slow
def test_streams_run_at_once_and_give_the_same(module, images):
    alone = compile_engine(module, [images[:1]], engine="openvino", device="cpu", threads=2)
    run = compile_engine(
        module, [images[:1]], engine="openvino", device="cpu", threads=2, streams=2
    )
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda at: run(images[at : at + 1]), list(range(len(images))) * 8))
    for at, outputs in enumerate(found):
        one = at % len(images)
        for got, wanted in zip(outputs, alone(images[one : one + 1]), strict=True):
            np.testing.assert_allclose(got, wanted, atol=1e-5)
