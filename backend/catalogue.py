"""Which methods exist: one line each; a method's file is imported when it is asked for.

A line is all that a new method needs outside its own file. `status` is "default" for the member
a recipe takes when nothing else is said, "plain" for the simple one others are measured against,
"ready", or "trial" for one that has not beaten the plain member.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module

from backend.errors import NotFoundError


@dataclass(frozen=True)
class Entry:
    """One method: `key` is shelf/file, `name` its class, `source` where it is from.

    Attributes:
        family: of an encoder, what its ids begin with: the `timm` of `timm:resnet50`.
        kind: of an encoder, the samples it takes: "image" or "text".
    """

    key: str
    name: str
    what: str
    status: str = "ready"
    source: str = ""
    aka: tuple[str, ...] = ()
    family: str = ""
    kind: str = ""

    @property
    def shelf(self) -> str:
        """The shelf's name, the first half of the key."""
        return self.key.split("/", maxsplit=1)[0]


ENTRIES: tuple[Entry, ...] = (
    Entry(
        "encoders/clip",
        "ClipEncoder",
        "any open_clip model: a tag, a checkpoint file or a folder; a vector per cell and picture",
        source="Radford et al., CLIP, ICML 2021 (2103.00020); cells: MaskCLIP (2112.01071)",
        aka=("encoders/open_clip",),
        family="open_clip",
        kind="image",
    ),
    Entry(
        "encoders/clip_text",
        "ClipTextEncoder",
        "the text tower of an open_clip model: a vector per text and per word",
        source="Radford et al., CLIP, ICML 2021 (2103.00020)",
        aka=("encoders/open_clip_text",),
        family="open_clip_text",
        kind="text",
    ),
    Entry(
        "encoders/embedded",
        "EmbeddedEncoder",
        "pictures, their parts and label names in one space, from packaged weights, no network",
        status="default",
        source="Norouzi et al., ConSE, ICLR 2014 (1312.5650), with a parts transformer of our own",
        family="embedded",
        kind="image",
    ),
    Entry(
        "encoders/sentence",
        "SentenceEncoder",
        "MiniLM, packaged, or any sentence-transformers model: a vector per text and per word",
        status="default",
        source="Reimers and Gurevych, Sentence-BERT, EMNLP 2019 (1908.10084)",
        family="sentence",
        kind="text",
    ),
    Entry(
        "encoders/static_words",
        "StaticWordsEncoder",
        "packaged static word vectors, no network",
        status="plain",
        source="Miller 2024 (WordLlama)",
        aka=("encoders/words",),
        family="words",
        kind="text",
    ),
    Entry(
        "encoders/side_by_side",
        "SideBySideEncoder",
        "encoders of one kind put side by side: cosines are averaged",
        status="ready",
    ),
    Entry(
        "encoders/vision",
        "VisionEncoder",
        "any timm backbone: pretrained, a checkpoint file or a folder; no text side",
        source="Wightman 2019 (timm)",
        aka=("encoders/timm",),
        family="timm",
        kind="image",
    ),
    Entry(
        "aligners/transport",
        "TransportAligner",
        "conditional transport: labels look for parts and parts for labels, each alone, so "
        "background may stay unused; needs cosines that differ, else its maps are flat",
        status="default",
        source="Li et al., PatchCT, ICCV 2023 (2307.09066)",
        aka=("PatchCT",),
    ),
    Entry(
        "aligners/layered_transport",
        "LayeredTransportAligner",
        "transport averaged over an encoder's blocks: better on separate things side by side, "
        "worse on photographs of scenes",
        status="trial",
        source="Li et al., PatchCT, ICCV 2023 (2307.09066)",
    ),
    Entry(
        "aligners/cosine",
        "CosineAligner",
        "cosine of the mean part: right for whole scenes; a small thing drowns in the rest",
        status="plain",
    ),
    Entry(
        "aligners/maxsim",
        "MaxsimAligner",
        "cosine of the best part: right for small things; one odd part outvotes all others",
        source="Khattab and Zaharia, ColBERT, SIGIR 2020 (2004.12832)",
        aka=("ColBERT",),
    ),
    Entry(
        "aligners/attention",
        "AttentionAligner",
        "each label attends to parts and is compared with their mix; a label that fits nothing is "
        "compared with the mix of everything and scores too high",
        source="Vaswani et al., NeurIPS 2017 (1706.03762)",
    ),
    Entry(
        "aligners/sinkhorn",
        "SinkhornAligner",
        "entropic optimal transport: every part is shipped and every label served, so background "
        "and absent labels get parts, scores depend on the other labels, and it is slow",
        source="Cuturi, NeurIPS 2013 (1306.0895)",
    ),
    Entry(
        "learners/logistic",
        "LogisticLearner",
        "one logistic head per label, drawn towards the zero-shot score",
        status="plain",
    ),
    Entry(
        "learners/lanes",
        "LanesLearner",
        "a lane per label pack in the frozen encoder, and a head per label that reads it",
        source="De Min et al. 2024, MULTI-LANE, CoLLAs",
    ),
    Entry(
        "calibrators/platt",
        "PlattCalibrator",
        "a logistic curve per label on held-back verdicts, drawn towards the common one",
        status="plain",
        source="Platt 1999",
    ),
    Entry(
        "calibrators/powerset",
        "PowersetCalibrator",
        "sets of label sets that hold the true one: what is certain of a sample is right together",
        status="default",
        source="Maltoudoglou et al. 2022 (2312.09304), with a likelihood distance",
        aka=("LP-ICP",),
    ),
    Entry(
        "calibrators/per_label",
        "PerLabelCalibrator",
        "each label for itself, rare ones like common ones; says nothing of several together",
        source="Vovk et al., Mondrian confidence machine, 2003",
        aka=("Mondrian",),
    ),
    Entry(
        "calibrators/recall",
        "RecallCalibrator",
        "leaves out labels so that the lost share of a sample's labels is bounded on average",
        source="Angelopoulos et al., Conformal risk control, ICLR 2024 (2208.02814)",
    ),
    Entry(
        "pickers/doubt",
        "DoubtPicker",
        "uncertain first, spread out over what is not covered yet",
        source="Lewis and Gale 1994; Wei, Iyer and Bilmes, ICML 2015",
    ),
    Entry(
        "pickers/stages",
        "StagesPicker",
        "typical and diverse first, then what each label in turn doubts most; asks few labels",
        status="default",
        source="Lewis and Gale 1994; Hacohen, Dekel and Weinshall, ICML 2022 (2202.02794)",
    ),
    Entry(
        "pickers/margin",
        "MarginPicker",
        "a label nearest to 50 %",
        source="Lewis and Gale 1994; Brinker 2006",
    ),
    Entry(
        "pickers/entropy",
        "EntropyPicker",
        "most doubt over all undecided labels",
        source="Settles 2009",
    ),
    Entry(
        "pickers/width",
        "WidthPicker",
        "widest label sets: about how many fewer decisions, here and on neighbours",
        source="Makili, Vega and Dormido-Canto 2013; Zhu, Lafferty and Ghahramani 2003",
    ),
    Entry(
        "pickers/centres",
        "CentresPicker",
        "farthest from everything decided; looks at no score",
        source="Sener and Savarese, ICLR 2018 (1708.00489)",
    ),
    Entry(
        "pickers/part_centres",
        "PartCentresPicker",
        "parts that nothing decided shows",
        source="Sener and Savarese, ICLR 2018 (1708.00489)",
    ),
    Entry(
        "pickers/gradients",
        "GradientsPicker",
        "uncertain and diverse at once: how the heads would move",
        source="Ash et al., ICLR 2020 (1906.03671)",
        aka=("BADGE",),
    ),
    Entry(
        "pickers/disagreement",
        "DisagreementPicker",
        "model against transport, neighbours, lane, other models and persons",
        source="Seung, Opper and Sompolinsky, COLT 1992",
    ),
    Entry("pickers/rarity", "RarityPicker", "probably shows a label with few verdicts"),
    Entry(
        "pickers/typicality",
        "TypicalityPicker",
        "stands for many others; for the first rounds",
        source="Hacohen, Dekel and Weinshall, ICML 2022 (2202.02794)",
    ),
    Entry("pickers/random", "RandomPicker", "any open sample", status="plain"),
    Entry(
        "auditors/noise_rates",
        "NoiseRatesAuditor",
        "labels that are probably wrong: scores of heads that did not see the sample, votes of "
        "neighbours and transport, weighed by how often each label is wrong in each direction",
        status="default",
        source="Northcutt, Jiang and Chuang, Confident Learning, JAIR 2021 (1911.00068)",
        aka=("confident learning",),
    ),
    Entry(
        "auditors/self_confidence",
        "SelfConfidenceAuditor",
        "labels that heads which did not see the sample give the least chance",
        status="plain",
        source="Northcutt, Jiang and Chuang, Confident Learning, JAIR 2021 (1911.00068)",
    ),
    Entry(
        "auditors/near_copies",
        "NearCopiesAuditor",
        "duplicates and near duplicates, across splits too: perceptual hash or shared runs of "
        "words, and vectors that agree",
        source="Zauner 2010; Broder 1997",
    ),
    Entry(
        "auditors/several_fit",
        "SeveralFitAuditor",
        "ambiguous samples: at least two labels are as likely as not",
        source="Henriksson et al., Untangling the Unrestricted Web (registers), 2024",
        aka=("registers",),
    ),
    Entry(
        "auditors/prototypes",
        "PrototypesAuditor",
        "imported labels: keep, relabel, drop or unsure, by anchors that texts choose, prototypes "
        "of those, heads and neighbours",
        source="Qin et al., CAPro, NeurIPS 2023 (2310.09761)",
        aka=("CAPro",),
    ),
    Entry(
        "indexes/exact",
        "ExactIndex",
        "brute-force cosine with FAISS",
        status="plain",
        source="Johnson, Douze and Jegou 2017 (FAISS)",
    ),
    Entry(
        "projectors/umap_plane",
        "UmapProjector",
        "UMAP from a PCA start; new samples between their neighbours",
        status="default",
        source="McInnes, Healy and Melville 2018 (1802.03426)",
        aka=("projectors/umap",),
    ),
    Entry("projectors/pca", "PcaProjector", "two directions of most variance", status="plain"),
    Entry(
        "writers/greedy",
        "GreedyWriter",
        "the few examples that bring back most of a label's samples, none of them their own",
        status="default",
        source="Chang et al. 2023 (2306.14035)",
        aka=("LIG",),
    ),
    Entry("writers/medoids", "MedoidWriter", "the middles of groups of like examples"),
    Entry("writers/random", "RandomWriter", "any examples", status="plain"),
    # Readers are tried in this order: the more particular form first.
    Entry("readers/vectors", "VectorsReader", "vectors made elsewhere: NPZ of names and vectors"),
    Entry(
        "readers/archive",
        "ArchiveReader",
        "zip and tar, every member checked",
        aka=("readers/zip",),
    ),
    Entry("readers/predictions", "PredictionsReader", "scores that another model gave, JSON"),
    Entry(
        "readers/coco",
        "CocoReader",
        "COCO JSON: labels of images, boxes, polygons, results",
        source="Lin et al., Microsoft COCO, ECCV 2014 (1405.0312)",
    ),
    Entry(
        "readers/yolo",
        "YoloReader",
        "YOLO folders: boxes or polygons in a text file beside each picture",
        source="Redmon et al., YOLO, CVPR 2016 (1506.02640)",
    ),
    Entry("readers/jsonl", "JsonlReader", "JSON lines, Patchlane's own form and people's"),
    Entry(
        "readers/csv_table", "CsvTableReader", "CSV: wide, delimited or long", aka=("readers/csv",)
    ),
    Entry("readers/folder", "FolderReader", "images and texts below a folder", status="plain"),
    Entry(
        "exporters/jsonl",
        "JsonlExporter",
        "JSON lines: every verdict and region",
        status="default",
    ),
    Entry(
        "exporters/csv_table",
        "CsvTableExporter",
        "CSV: a column per label, or a row per verdict",
        aka=("exporters/csv",),
    ),
    Entry("exporters/coco", "CocoExporter", "COCO JSON: what is present, boxes and polygons"),
    Entry(
        "exporters/yolo",
        "YoloExporter",
        "YOLO folders: boxes or polygons of what is present",
        source="Redmon et al., YOLO, CVPR 2016 (1506.02640)",
    ),
)


def entries(shelf: str | None = None) -> tuple[Entry, ...]:
    """All methods, or those of one shelf.

    Raises:
        NotFoundError: no shelf has that name; the known ones are listed.
    """
    shelves = sorted({entry.shelf for entry in ENTRIES})
    if shelf is not None and shelf not in shelves:
        raise NotFoundError(f"no shelf is called {shelf!r}; there are {', '.join(shelves)}")
    return tuple(entry for entry in ENTRIES if shelf in (None, entry.shelf))


def entry(key: str) -> Entry:
    """The line of one method.

    Raises:
        NotFoundError: with the members of the shelf, or the shelves.
    """
    for line in ENTRIES:
        if line.key == key or key in line.aka:
            return line
    shelf = key.split("/", maxsplit=1)[0]
    near = [line.key for line in ENTRIES if line.shelf == shelf] or sorted(
        {line.shelf for line in ENTRIES}
    )
    raise NotFoundError(f"no method is called {key!r}; there are {', '.join(near)}")


def load(key: str) -> type:
    """The class of a method; imports its file."""
    line = entry(key)
    module = import_module(f"backend.methods.{line.key.replace('/', '.')}")
    return getattr(module, line.name)
