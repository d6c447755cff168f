"""The networks of the registry are what they claim to be, on every host.

Counted and inferred from their symbols without running them; those defined in models/ are also
trained for two steps.
"""

from __future__ import annotations

from typing import Any, Dict

import pytest

from harness.base.layout import Layout
from harness.trials.jobs import DescribeJob, HashJob
from models.registry import NETWORKS, find_network
from tests.conftest import every_host
from tests.support.bits import differences, result_of

# Networks of models/: operators by which each has its place, and how many its paper has.
OPERATORS = {
    "alexnet": {"Convolution": 5, "LRN": 2, "Pooling": 3, "FullyConnected": 3, "Dropout": 2},
    "googlenet": {"Convolution": 57, "Concat": 9, "Pooling": 14, "FullyConnected": 1},
    "inception-bn": {"Convolution": 69, "BatchNorm": 69, "Concat": 10},
    "inception-v4": {"Convolution": 149, "BatchNorm": 149, "Pooling": 19},
    "cifar-resnet-50": {"Convolution": 49, "BatchNorm": 49, "FullyConnected": 1},
    "cifar-vgg-16": {"Convolution": 13, "BatchNorm": 13, "Pooling": 5, "FullyConnected": 1},
    "dcgan": {"Deconvolution": 5, "Convolution": 10, "LeakyReLU": 8},
    "fcn": {"Deconvolution": 3, "Convolution": 8},
    "seven-ops": {"Deconvolution": 1, "LRN": 1, "BatchNorm": 1, "FullyConnected": 1},
}
# Published millions of multiply-adds: the number of parameters does not tell strides and paddings.
MULTIPLY_ADDS = {
    # github.com/KamelAbdelouahab/CNN-Workload
    "alexnet": 724,
    "googlenet": 1_580,
    "vgg-16": 15_500,
    "vgg-19": 19_600,
    "resnet-50": 3_860,
    "resnet-152": 11_300,
    # github.com/osmr/imgclsmob, which counts some of the other layers too
    "inception-bn": 2_048,
    "inception-v3": 5_743,
    "inception-v4": 12_305,
    "cifar-vgg-16": 314,
    # ResNet-56's 125.49 without the ninth block of each of the three stages
    "cifar-resnet-50": 125.49 - 3 * 4.72,
}


def describe(layout: Layout, host: str) -> Dict[str, Any]:
    return result_of(DescribeJob(), layout, host, "stock")["networks"]


@every_host
@pytest.mark.parametrize("name", NETWORKS)
def test_network_has_the_published_parameters(layout: Layout, host: str, name: str) -> None:
    network = find_network(name)
    described = describe(layout, host)[name]
    assert described["parameters"] == network.parameters
    if network.recipe is not None and network.recipe.inputs:
        # Outside training: the class of each detected object.
        assert described["output_shape"][::2] == [1, 1]
        return
    batch, *rest = described["output_shape"]
    assert batch == 1
    # And pixels, or anchors.
    assert network.classes in rest and (len(rest) > 1) == (network.recipe is not None)


@every_host
@pytest.mark.parametrize("name", MULTIPLY_ADDS)
def test_network_has_the_published_multiply_adds(layout: Layout, host: str, name: str) -> None:
    found = describe(layout, host)[name]["multiply_adds"] / 1e6
    assert found == pytest.approx(MULTIPLY_ADDS[name], rel=0.01)


@every_host
@pytest.mark.parametrize("name", OPERATORS)
def test_network_has_its_operators(layout: Layout, host: str, name: str) -> None:
    found = describe(layout, host)[name]["operators"]
    assert {operator: found.get(operator) for operator in OPERATORS[name]} == OPERATORS[name]


def test_frozen_layers_have_no_backward_pass(layout: Layout, host: str) -> None:
    networks = describe(layout, host)
    found = networks["faster_rcnn_resnet50_v1b_voc"]
    trained, every = found["trained_operators"], found["operators"]
    # The only pooling by MKL-DNN is in the frozen part.
    assert (every["Pooling"], trained.get("Pooling")) == (1, None)
    assert 0 < trained["Convolution"] < every["Convolution"]
    whole = networks["resnet-50"]
    assert whole["trained_operators"] == whole["operators"]


@every_host
@pytest.mark.parametrize("name", NETWORKS)
def test_hosts_name_parameters_alike(layout: Layout, host: str, first_host: str, name: str) -> None:
    shapes = describe(layout, host)[name]["parameter_shapes"]
    assert shapes == describe(layout, first_host)[name]["parameter_shapes"]
    # The kinds that harness/worker/data.py knows.
    assert {key.rsplit("_", 1)[1] for key in shapes} <= {"weight", "bias", "gamma", "beta", "scale"}


@pytest.mark.parametrize("name", OPERATORS)
def test_own_network_trains_at_its_smallest_size(layout: Layout, host: str, name: str) -> None:
    job = HashJob(name, 2, find_network(name).smallest_image_size, steps=2)
    assert result_of(job, layout, host, "stock", 2)["finite"]


@pytest.mark.parametrize("name", ("cifar-resnet-50", "fcn"))
def test_own_block_trains_alike_hybridized(layout: Layout, host: str, name: str) -> None:
    """Those with a hybrid_forward of their own."""
    size = find_network(name).smallest_image_size
    imperative, hybrid = (
        result_of(HashJob(name, 2, size, steps=2, api=api), layout, host, "stock")
        for api in ("gluon", "hybrid")
    )
    assert imperative["finite"]
    assert differences(imperative, hybrid) == []
