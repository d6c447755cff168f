"""The registry, the small networks, and the worker's ways to train them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, Optional

import numpy
import pytest

from harness.base.errors import HarnessError
from harness.base.layout import Layout
from harness.trials import jobs
from harness.worker import counters as library
from harness.worker import data as initial
from models import rcnn
from models.gluon_cv import masks
from models.objects import OBJECTS, boxes, shapes
from models.registry import NETWORKS, check_image_size, find_network
from tests.conftest import every_host
from tests.support.bits import result_of, run_job
from tests.support.records import bench


def test_names_and_sizes_are_checked() -> None:
    assert find_network("resnet-50").image_size == 224
    assert all(name == network.name for name, network in NETWORKS.items())
    assert all(n.smallest_image_size <= n.image_size for n in NETWORKS.values())
    with pytest.raises(ValueError, match="unknown model 'resnet': expected one of alexnet, "):
        find_network("resnet")
    check_image_size(find_network("inception-v3"), 299)
    with pytest.raises(ValueError, match="298 is too small for inception-v3: .* at least 299"):
        check_image_size(find_network("inception-v3"), 298)


@pytest.mark.parametrize(
    "job",
    [
        jobs.TrainJob(model="alexnet", batch_size=1, image_size=224),
        jobs.ProfileJob(model="alexnet", batch_size=1, image_size=224, memory_limit_gib=1.5),
        jobs.HashJob(model="alexnet", batch_size=1, image_size=224, api="hybrid"),
        jobs.OperatorsJob(operator="lrn"),
        jobs.DescribeJob(),
    ],
)
def test_jobs_cross_the_process_boundary(job: jobs.Job) -> None:
    assert jobs.job_from_json(jobs.to_json(job)) == job


@pytest.mark.parametrize("value", [None, [], {}, {"kind": "other"}, {"kind": []}])
def test_foreign_jobs_are_refused(value: Any) -> None:
    with pytest.raises(HarnessError, match="job: expected an object with a kind of train, prof"):
        jobs.job_from_json(value)
    with pytest.raises(HarnessError, match="job of kind hash: .*'colour'"):
        jobs.job_from_json({**jobs.to_json(jobs.HashJob("alexnet", 1, 224)), "colour": 1})


@pytest.mark.parametrize(
    ("last_ms", "expected"),
    [(1, 20), (100, 10), (499, 2), (10_000, 2)],
)
def test_timed_steps_fit_into_their_budget(last_ms: int, expected: int) -> None:
    limits = {"timed_steps_min": 2, "timed_steps_max": 20, "steps_budget_s": 1.0}
    job = jobs.TrainJob("alexnet", 1, 224, **limits)
    assert job.timed_steps(last_ms * 1_000_000) == expected


def test_masks_have_objects_with_ignored_borders() -> None:
    (found,) = masks(initial.generator(1, "label/0"), 2, 32, 21)
    assert found.shape == (2, 32, 32) and found.dtype == numpy.float32
    assert numpy.array_equal(found, masks(initial.generator(1, "label/0"), 2, 32, 21)[0])
    assert {-1.0, 0.0} < set(found.ravel().tolist()) <= {float(each) for each in range(-1, 21)}


def test_boxes_are_inside_the_image_with_an_object_in_each() -> None:
    corners, kinds = boxes(initial.generator(1, "label/0"), 4, 64, 20)
    assert corners.shape == (4, OBJECTS, 4) and kinds.shape == (4, OBJECTS, 1)
    assert numpy.array_equal(corners, boxes(initial.generator(1, "label/0"), 4, 64, 20)[0])
    assert corners.min() >= 0 and corners.max() <= 63 and set(kinds.ravel()) <= set(range(20))
    width, height = (corners[..., i + 2] - corners[..., i] for i in range(2))
    assert min(width.min(), height.min()) >= 15
    pixels = shapes(corners, 64)
    assert pixels.shape == (4, OBJECTS, 64, 64) and pixels.dtype == numpy.float32
    # An ellipse covers pi / 4 of its box, and nothing outside.
    assert pixels.sum(axis=(2, 3)) == pytest.approx(numpy.pi / 4 * width * height, rel=0.05)
    left, top, right, bottom = (round(float(each)) for each in corners[0, 0])
    pixels[0, 0, top : bottom + 1, left : right + 1] = 0
    assert not pixels[0, 0].any()


def test_yolo_trains_on_the_sides_of_its_script() -> None:
    assert find_network("yolo3_darknet53_voc").sides(608) == tuple(range(320, 609, 32))
    assert find_network("yolo3_mobilenet1.0_voc").sides(100) == (64, 96)
    assert find_network("fcn").sides(100) == find_network("fcn_resnet50_voc").sides(100) == (100,)


def test_rcnn_refuses_several_images() -> None:
    with pytest.raises(ValueError, match="batch size 2: GluonCV's R-CNN trains on one image at a"):
        rcnn.targets(initial.generator(1, "label/0"), 2, 192, 20)


def test_initial_values_depend_on_seed_and_name() -> None:
    weight = initial.parameter(1, "net_conv0_weight", (8, 4, 3, 3))
    assert weight.dtype == numpy.float32
    assert numpy.array_equal(weight, initial.parameter(1, "net_conv0_weight", (8, 4, 3, 3)))
    assert not numpy.array_equal(weight, initial.parameter(2, "net_conv0_weight", (8, 4, 3, 3)))
    assert not numpy.array_equal(weight, initial.parameter(1, "net_conv1_weight", (8, 4, 3, 3)))
    # Xavier: uniform, of variance 2 / (fan in + fan out).
    assert numpy.abs(weight).max() <= numpy.sqrt(3 * 2 / (12 * 9))
    assert weight.var() == pytest.approx(2 / (12 * 9), rel=0.2)
    assert initial.parameter(1, "net_batchnorm0_gamma", (4,)).tolist() == [1.0] * 4
    assert initial.parameter(1, "net_batchnorm0_running_mean", (4,)).tolist() == [0.0] * 4
    assert set(initial.labels(1, "label", 100, 3).tolist()) == {0.0, 1.0, 2.0}


def stats(avoided: int, created: int, outside: int = 0) -> Dict[str, Any]:
    found = bench.cache_stats("backward", 0)
    counters = found["operators"]["_backward_Convolution"]
    # Its descriptors are avoided, its primitives are out of scope.
    other = {**counters, "descriptors_avoided": avoided, "primitives_created": outside}
    counters.update(primitives_avoided=avoided, primitives_created=created)
    return {**found, "operators": {"_backward_Convolution": counters, "Reorder": other}}


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (stats(0, 0), stats(0, 9), True),  # the first step: everything is created
        (stats(0, 9), stats(8, 10), True),  # most are avoided, one is still created
        (stats(8, 10), stats(17, 10), False),  # nothing is created
        (stats(8, 10, outside=5), stats(17, 10, outside=9), False),  # but outside the scope
        (stats(17, 10), stats(17, 10), True),  # nothing at all happened
        (stats(17, 10), stats(17, 19), True),  # evicted: created again
        (stats(0, 0), {**stats(0, 9), "active": False}, None),
    ],
)
def test_end_of_warm_up(
    before: Dict[str, Any], after: Dict[str, Any], expected: Optional[bool]
) -> None:
    assert library.still_missing(before, after) is expected


def hash_small(
    layout: Layout, host: str, api: str, steps: int = 3, seed: int = 1, run: Any = result_of
) -> Dict[str, Any]:
    # One thread: batch normalisation is not reproducible on more in every MKL-DNN.
    job = jobs.HashJob("seven-ops", 2, 32, api=api, steps=steps, seed=seed)
    return run(job, layout, host, "stock")


@every_host
def test_module_trains_alike_twice(layout: Layout, host: str) -> None:
    first, second = (hash_small(layout, host, "module", run=run) for run in (result_of, run_job))
    assert first["finite"]
    # The output, eight parameters with their gradients, two states.
    assert len(first["hashes"]) == 1 + 2 * 8 + 2
    assert first["hashes"] == second["hashes"]
    assert first["digest"] == second["digest"]


def test_gluon_trains_alike_hybridized(layout: Layout, host: str) -> None:
    imperative, hybrid = (hash_small(layout, host, api) for api in ("gluon", "hybrid"))
    assert imperative["finite"]
    assert imperative["hashes"] == hybrid["hashes"]


def test_digest_tells_seeds_and_steps_apart(layout: Layout, first_host: str) -> None:
    digests = {
        hash_small(layout, first_host, "module", steps, seed)["digest"]
        for steps, seed in ((1, 1), (1, 2), (2, 1))
    }
    assert len(digests) == 3


def test_arrays_can_be_dumped(layout: Layout, first_host: str, tmp_path: Path) -> None:
    dump = tmp_path / "arrays.npz"
    job = jobs.HashJob("seven-ops", batch_size=1, image_size=16, steps=1, dump=str(dump))
    done = run_job(job, layout, first_host, "stock", 2)
    with numpy.load(dump) as arrays:
        assert set(arrays) == set(done["hashes"])
        learned = [n for n in arrays if n != "output" and not n.startswith("gradient-")]
        assert sum(arrays[name].size for name in learned) < 10_000
