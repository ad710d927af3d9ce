"""What the main job costs on this machine, each figure beside its baseline from the same run.

Photographs are those of `coco_mini` and `aquarium`; everything runs in a temporary home and leaves
nothing behind. CPU figures are `time.process_time` of this process, all its threads together.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import numpy as np
from PIL import Image

from backend import api, catalogue
from backend.bench import alignment, embedded_encoder, store_costs, text_default, words
from backend.bench.reports import Row, row
from backend.errors import NotFoundError
from backend.images import decode
from backend.pipeline import load_encoder
from backend.settings import Settings
from backend.store.vectors import VectorStore
from backend.types import Encoded, Layout

T = TypeVar("T")
Say = Callable[[str], None]

PHOTOS = 1000
LARGE_PHOTOS = 96
LARGE = (4000, 3000)
MANY = 10_000
LABELS = 20
REPEATS = 40


def rows(settings: Settings, *, say: Say, part: str | None = None) -> Iterator[Row]:
    """All rows, the quick ones first, or those of one part.

    Raises:
        NotFoundError: the data packs are not there, or no part has that name.
    """
    if not settings.data.is_dir():
        raise NotFoundError(f"no data packs in {settings.data}; set PATCHLANE_DATA")
    with TemporaryDirectory(prefix="patchlane-bench-") as folder:
        home, settings = settings.home, replace(settings, home=Path(folder))
        photos = list(islice(_photos(settings), PHOTOS))
        steps: tuple[tuple[str, Callable[[], Iterator[Row]]], ...] = (
            ("starting", lambda: _starting(settings)),
            ("ingest", lambda: _ingest(settings, photos)),
            ("large", lambda: _large(settings, photos[:LARGE_PHOTOS])),
            ("loop", lambda: _loop(settings, photos)),
            ("many", lambda: _many(settings)),
            ("store", lambda: store_costs.rows(settings)),
            ("alignment", lambda: alignment.rows(settings)),
            ("texts", lambda: text_default.rows(settings)),
            ("heads", lambda: embedded_encoder.head_rows(settings, say, home=home)),
            ("words", lambda: words.rows(settings, say, home=home)),
            ("encoder", lambda: embedded_encoder.rows(settings, say, home=home)),
        )
        names = [name for name, _ in steps]
        if part is not None and part not in names:
            raise NotFoundError(f"foundation has no part {part!r}; there are {', '.join(names)}")
        for name, step in steps:
            if part in (None, name):
                say(f"measuring: {name}")
                yield from step()


def _photos(settings: Settings) -> Iterator[Path]:
    for pack in ("coco_mini", "aquarium"):
        yield from sorted((settings.data / pack / "images").glob("*.jpg"))


def _starting(settings: Settings) -> Iterator[Row]:
    command = [sys.executable, "-m", "backend", "--help"]
    seconds = []
    for _ in range(5):
        started = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)  # noqa: S603  our own module
        seconds.append(time.perf_counter() - started)
    bare = time.perf_counter()
    subprocess.run([sys.executable, "-c", ""], check=True)
    bare = time.perf_counter() - bare
    yield row(
        "patchlane --help",
        statistics.median(seconds),
        "s",
        at_most=0.5,
        baseline="an empty Python",
        baseline_value=bare,
    )
    yield from _demo_start(settings)


def _demo_start(settings: Settings) -> Iterator[Row]:
    """First start makes the projects, the second one serves them until /healthz and a page."""
    code = (
        "import sys, time, urllib.request, threading\n"
        "from backend.__main__ import main\n"
        "port = sys.argv[1]\n"
        "def look():\n"
        "    for _ in range(1200):\n"
        "        try:\n"
        "            for path in ('healthz', '', 'pl/api/queue?k=5'):\n"
        "                urllib.request.urlopen(f'http://127.0.0.1:{port}/{path}').read()\n"
        "            print('usable', flush=True)\n"
        "            import os; os._exit(0)\n"
        "        except OSError:\n"
        "            time.sleep(0.05)\n"
        "    os._exit(1)\n"
        "threading.Thread(target=look, daemon=True).start()\n"
        "main(['demo', '--no-browser', '--port', port])\n"
    )
    environment = {**os.environ, "PATCHLANE_HOME": str(settings.home / "demo-home")}
    # The first start leaves compiled modules to the second, as it does for whoever installs it.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    seconds = []
    for port in ("18861", "18862"):
        started = time.perf_counter()
        command = [sys.executable, "-c", code, port]
        subprocess.run(command, check=True, capture_output=True, env=environment)  # noqa: S603
        seconds.append(time.perf_counter() - started)
    yield row(
        "patchlane demo, second start to a usable page",
        seconds[1],
        "s",
        at_most=8.0,
        baseline="first start, which makes both projects",
        baseline_value=seconds[0],
    )


def _ingest(settings: Settings, photos: list[Path]) -> Iterator[Row]:
    folder = _copied(photos, settings.home / "photos")
    encoder = load_encoder("embedded", settings)
    pictures = [decode(path, at_least=encoder.input_size) for path in photos]
    encoder.encode(pictures[:32])
    _, forward_cpu, forward_wall = _measured(lambda: encoder.encode(pictures))
    del pictures
    wall, cpu, once = {}, {}, {}
    for name, engine in (
        ("auto", settings),
        ("torch", replace(settings, engine="torch", dtype="float32")),
    ):
        with _project(engine, f"ingest-{name}") as bench:
            once[name] = _measured(lambda bench=bench: bench.warm_up(compiles=True))[1]
            bench.store.vectors.missing([], "")
            _, cpu[name], wall[name] = _measured(lambda bench=bench: bench.add(folder))
            if bench.num_encoded != len(photos):
                raise NotFoundError(f"{bench.num_encoded} of {len(photos)} photographs came in")
    each = 1000 / len(photos)
    yield row(
        f"ingest of {len(photos)} photographs, CPU beside the forward pass",
        (cpu["auto"] - forward_cpu) * each,
        "ms/photo",
        at_most=3.0,
        baseline="forward pass alone, CPU",
        baseline_value=forward_cpu * each,
    )
    yield row(
        f"ingest of {len(photos)} photographs, end to end",
        len(photos) / wall["auto"],
        "photos/s",
        at_least=3 * len(photos) / wall["torch"],
        baseline="the same with eager PyTorch f32",
        baseline_value=len(photos) / wall["torch"],
    )
    yield row("forward pass alone", len(photos) / forward_wall, "photos/s")
    yield row("once per process: load and compile the encoder", once["auto"], "s CPU")


def _large(settings: Settings, photos: list[Path]) -> Iterator[Row]:
    folder = settings.home / "large"
    folder.mkdir()
    for number, path in enumerate(photos):
        with Image.open(path) as picture:
            large = picture.convert("RGB").resize(LARGE, Image.Resampling.BICUBIC)
        large.save(folder / f"{number}.jpg", quality=92)
    files = sorted(folder.glob("*.jpg"))
    encoder = load_encoder("embedded", settings)
    _, _, draft = _measured(lambda: [decode(f, at_least=encoder.input_size) for f in files])
    _, _, full = _measured(lambda: [decode(f) for f in files])
    with _project(settings, "large-photos") as bench:
        bench.warm_up(compiles=True)
        _, _, whole = _measured(lambda: bench.add(folder))
    yield row(
        "ingest of 12-megapixel JPEGs",
        len(files) / whole,
        "photos/s",
        at_least=0.6 * len(files) / draft,
        baseline="draft-mode decoding alone",
        baseline_value=len(files) / draft,
    )
    yield row(
        "ingest of 12-megapixel JPEGs, against full decoding",
        len(files) / whole,
        "photos/s",
        at_least=len(files) / full,
        baseline="full-size decoding alone",
        baseline_value=len(files) / full,
    )


def _loop(settings: Settings, photos: list[Path]) -> Iterator[Row]:
    """Look, decide and see the change, on a thousand photographs and twenty labels."""
    path = settings.home / "ingest-auto"
    if not path.is_dir():
        with _project(settings, path.name) as bench:
            bench.add(_copied(photos, settings.home / "photos"))
    with _opened(path, settings) as bench:
        ids = [sample.id for sample in bench.samples()]
        bench.explain(ids[0])

        def look(number: int) -> None:
            bench.suggest([ids[number]])
            bench.explain(ids[number])

        cpu = [_measured(lambda n=n: look(n))[1] for n in range(REPEATS)]
        yield row("open a sample: suggestions and plan", 1000 * _p95(cpu), "ms CPU", at_most=30.0)
        labels = [label.name for label in bench.labels()]
        cpu = []
        for number in range(REPEATS):
            verdict = [{"sample": ids[number], "label": labels[number % 5], "verdict": "yes"}]
            cpu.append(_measured(lambda v=verdict: bench.correct(v))[1])
        yield row(
            "save one correction, durable", 1000 * statistics.median(cpu), "ms CPU", at_most=5.0
        )

        def page() -> None:
            for sample in ids[100:200]:
                bench.media(sample, size=256)

        page()
        _, once, _ = _measured(page)
        yield row("page of 100 samples with thumbnails", 1000 * once, "ms CPU", at_most=50.0)
    with _opened(path, settings, learns=True) as bench:
        ids = [sample.id for sample in bench.samples()]
        rng = np.random.default_rng(0)
        seconds = []
        for number in range(REPEATS):
            since = bench.refresh(0, timeout=0)
            sample, label = int(rng.choice(ids)), labels[int(rng.integers(len(labels)))]
            started = time.perf_counter()
            verdict = ("yes", "no")[number % 2]
            bench.correct([{"sample": sample, "label": label, "verdict": verdict}])
            bench.refresh(since, timeout=10)
            bench.suggest(ids[:40])
            seconds.append(time.perf_counter() - started)
        yield row(
            f"correction to refreshed suggestions, {len(ids)} samples x {len(labels)} labels, p95",
            _p95(seconds),
            "s",
            at_most=1.0,
        )


def _many(settings: Settings) -> Iterator[Row]:
    """Ten thousand samples with the vectors that the embedded encoder would have given."""
    encoder = load_encoder("embedded", settings)
    index = catalogue.load("indexes/exact")(encoder.dim)
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((MANY, encoder.dim)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    index.add(np.arange(MANY), vectors)
    index.search(vectors[:1], 25)
    seconds = [_measured(lambda n=n: index.search(vectors[n : n + 1], 25))[2] for n in range(200)]
    brute = [_measured(lambda n=n: np.argsort(-(vectors @ vectors[n]))[:25])[2] for n in range(50)]
    yield row(
        "25 neighbours of 10,000",
        1000 * statistics.median(seconds),
        "ms",
        at_most=10.0,
        baseline="NumPy, one product and a sort",
        baseline_value=1000 * statistics.median(brute),
    )
    path = settings.home / "many"
    _make_many(path, settings, encoder, vectors)
    code = (
        "import sys\n"
        "from backend import api\n"
        "bench = api.open_project(sys.argv[1])\n"
        "bench.suggest([s.id for s in bench.samples()[:50]])\n"
        "bench.neighbours(bench.samples()[0].id)\n"
        "bench.next(20)\n"
        # Not getrusage: its maximum is inherited from the process that started this one.
        "print(next(l for l in open('/proc/self/status') if l.startswith('VmHWM')).split()[1])\n"
    )
    done = subprocess.run(  # noqa: S603  our own module
        [sys.executable, "-c", code, str(path)],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PATCHLANE_HOME": str(settings.home)},
    )
    yield row(
        "memory with 10,000 samples open",
        int(done.stdout.split()[-1]) / 1e6,
        "GB",
        at_most=1.5,
        baseline="their pooled vectors alone",
        baseline_value=vectors.nbytes / 1e9,
    )


def _make_many(path: Path, settings: Settings, encoder: object, vectors: np.ndarray) -> None:
    """A project of 10,000 tiny pictures whose vectors are written, not computed."""
    folder = settings.home / "tiny"
    folder.mkdir()
    for number in range(len(vectors)):
        colour = (number % 256, number // 256 % 256, 77)
        Image.new("RGB", (4, 4), colour).save(folder / f"{number}.png")
    labels = [f"label {number}" for number in range(LABELS)]
    bench = api.create_project(path, labels=labels, settings=settings)
    try:
        bench.add(folder, encode=False)
        samples = bench.samples()
        rng = np.random.default_rng(1)
        num_parts = 100
        store: VectorStore = bench.store.vectors
        for at in range(0, len(samples), 256):
            some = samples[at : at + 256]
            parts = rng.standard_normal((len(some), num_parts, vectors.shape[1])).astype(np.float32)
            parts /= np.linalg.norm(parts, axis=2, keepdims=True)
            encoded = Encoded(
                vectors[at : at + len(some)],
                tuple(parts),
                tuple(Layout(grid=(10, 10)) for _ in some),
            )
            hashes = [sample.content_hash for sample in some]
            store.put(encoder.fingerprint, hashes, encoded)  # pyright: ignore
    finally:
        bench.close()


@contextmanager
def _project(settings: Settings, name: str) -> Iterator[api.Workbench]:
    labels = ["person", "dog", "cat", "car", "fish", "bottle", "cup", "chair", "book", "bus"]
    labels += ["truck", "boat", "bird", "horse", "sheep", "shark", "penguin", "pizza", "bed", "tv"]
    bench = api.create_project(name, labels=labels[:LABELS], settings=settings)
    try:
        yield bench
    finally:
        bench.close()


@contextmanager
def _opened(path: Path, settings: Settings, *, learns: bool = False) -> Iterator[api.Workbench]:
    bench = api.open_project(path, settings=settings, learns=learns)
    try:
        yield bench
    finally:
        bench.close()


def _copied(photos: list[Path], folder: Path) -> Path:
    folder.mkdir()
    for path in photos:
        shutil.copyfile(path, folder / path.name)
    return folder


def _measured(work: Callable[[], T]) -> tuple[T, float, float]:
    """The result, CPU seconds of the process and seconds."""
    cpu, wall = time.process_time(), time.perf_counter()
    result = work()
    return result, time.process_time() - cpu, time.perf_counter() - wall


def _p95(values: list[float]) -> float:
    return float(np.quantile(values, 0.95))
