"""Per-label sets against crepes, and the risk-controlled threshold against MAPIE."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from backend.errors import BadInputError
from backend.methods.calibrators.per_label import PerLabelCalibrator
from backend.methods.calibrators.powerset import PowersetCalibrator
from backend.methods.calibrators.recall import RecallCalibrator


@pytest.fixture
def drawn():
    rng = np.random.default_rng(4)
    logits = 2 * rng.normal(size=(220, 5)) - 0.5
    truth = (rng.random(logits.shape) < 1 / (1 + np.exp(-logits))).astype(np.int8)
    truth[truth.sum(axis=1) == 0, 0] = 1  # MAPIE has no share of no labels
    return (1 / (1 + np.exp(-logits))).astype(np.float32), truth


def test_p_values_per_label_are_those_of_crepes(drawn):
    from crepes import ConformalClassifier

    chances, truth = drawn
    calibrator = PerLabelCalibrator()
    present, absent = calibrator.p_values(calibrator.fit(chances[:120], truth[:120]), chances[120:])
    for label in range(chances.shape[1]):
        two = np.stack([1 - chances[:, label], chances[:, label]], axis=1)
        kinds = truth[:120, label]
        theirs = ConformalClassifier()
        theirs.fit(1 - two[:120][np.arange(120), kinds], bins=kinds)
        for kind, ours in ((1, present), (0, absent)):
            found = theirs.predict_p(
                1 - two[120:, kind : kind + 1], bins=np.full(100, kind), smoothing=False
            )
            np.testing.assert_allclose(ours[:, label], np.asarray(found).ravel(), atol=1e-9)


@pytest.mark.parametrize("level", [0.7, 0.8, 0.9, 0.95])
def test_the_threshold_of_recall_is_that_of_mapie(drawn, level):
    chances, truth = drawn
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from mapie.risk_control import MultiLabelClassificationController

        edges = np.unique(chances[:120])
        between = np.concatenate([[0.0], (edges[1:] + edges[:-1]) / 2])
        theirs = MultiLabelClassificationController(
            lambda rows: chances[np.asarray(rows).ravel()],
            risk="recall",
            method="crc",
            target_level=level,
            predict_params=between,
        )
        theirs.calibrate(np.arange(120)[:, None], truth[:120])
        kept = theirs.predict(np.arange(120)[:, None])[:, :, 0]
    calibrator = RecallCalibrator()
    sure = calibrator.certificates(calibrator.fit(chances[:120], truth[:120]), chances[:120], level)
    np.testing.assert_array_equal(sure == 0, kept)


def test_the_threshold_of_recall_is_the_largest_that_the_bound_allows(drawn):
    chances, truth = drawn
    calibrator = RecallCalibrator()
    threshold = calibrator.threshold(calibrator.fit(chances, truth), 0.9)

    def bound(at):
        lost = (truth > 0) & (chances < at)
        return ((lost.sum(axis=1) / truth.sum(axis=1)).sum() + 1) / (len(chances) + 1)

    assert bound(threshold) <= 0.1
    above = np.unique(chances[chances > threshold])
    assert bound(above[0]) > 0.1


def test_a_measure_that_is_none_is_refused():
    with pytest.raises(BadInputError, match="manhattan"):
        PowersetCalibrator(PowersetCalibrator.Settings(measure="manhattan"))
    with pytest.raises(BadInputError, match="from 1 to 8, not 9"):
        PowersetCalibrator(PowersetCalibrator.Settings(power=9))
