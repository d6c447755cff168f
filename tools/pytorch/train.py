"""Times training steps of a network on dummy data in PyTorch, as the worker does in MXNet.

``python train.py JOB.json OUT.json`` needs PyTorch and torchvision alone. The job is a TrainJob's
JSON with ``format``, channels-first or channels-last.
"""

import json
import os
import platform
import resource
import sys
import time

import torch

# torchvision asks for these when it is imported; its own, made for another PyTorch, does not load.
_OPERATORS = torch.library.Library("torchvision", "DEF")
for _name in ("nms", "qnms"):
    _OPERATORS.define(_name + "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
import torchvision  # noqa: E402

# By the registry's names. torchvision's AlexNet and GoogLeNet are other networks than the papers'.
_BUILDERS = {
    "vgg-16": lambda: torchvision.models.vgg16(),
    "vgg-19": lambda: torchvision.models.vgg19(),
    "inception-v3": lambda: torchvision.models.inception_v3(aux_logits=False, init_weights=False),
    "resnet-50": lambda: torchvision.models.resnet50(),
    "resnet-152": lambda: torchvision.models.resnet152(),
    "mobilenet-1.0": lambda: _mobilenet(),
}
# arXiv:1704.04861, table 1: channels and stride of each depthwise separable convolution.
_SEPARABLE = (
    *((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)),
    *((512, 1),) * 5,
    *((1024, 2), (1024, 1)),
)


def _convolution(channels, outputs, side, stride, groups=1):
    layer = torch.nn.Conv2d(channels, outputs, side, stride, side // 2, groups=groups, bias=False)
    return [layer, torch.nn.BatchNorm2d(outputs), torch.nn.ReLU(inplace=True)]


def _mobilenet():
    layers, channels = _convolution(3, 32, 3, 2), 32
    for outputs, stride in _SEPARABLE:
        layers += _convolution(channels, channels, 3, stride, groups=channels)
        layers += _convolution(channels, outputs, 1, 1)
        channels = outputs
    layers += [torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(channels, 1000)]
    return torch.nn.Sequential(*layers)


def main(job_file, out_file):
    """Train, and write what a benchmark's sample needs."""
    with open(job_file) as file:
        job = json.load(file)
    torch.manual_seed(job["seed"])
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    last = job["format"] == "channels-last"
    layout = torch.channels_last if last else torch.contiguous_format
    network = _BUILDERS[job["model"]]().to(memory_format=layout).train()
    side = job["image_size"]
    images = (2 * torch.rand(job["batch_size"], 3, side, side) - 1).to(memory_format=layout)
    classes = torch.randint(1000, (job["batch_size"],))
    optimizer = torch.optim.SGD(
        network.parameters(), lr=job["learning_rate"], momentum=job["momentum"]
    )
    outputs = None

    def timed_step():
        nonlocal outputs
        start_ns = time.perf_counter_ns()
        optimizer.zero_grad()
        outputs = network(images)
        torch.nn.functional.cross_entropy(outputs, classes).backward()
        optimizer.step()
        return time.perf_counter_ns() - start_ns

    warm_up_ns = [timed_step() for _ in range(job["warm_up_steps_min"] + 1)]
    # As TrainJob.timed_steps decides.
    fitting = int(job["steps_budget_s"] * 1e9 / warm_up_ns[-1])
    steps = min(max(fitting, job["timed_steps_min"]), job["timed_steps_max"])
    step_ns = [timed_step() for _ in range(steps)]
    result = {
        "warm_up_ns": warm_up_ns,
        "step_ns": step_ns,
        "still_missing": None,
        "stats": None,
        "finite": bool(torch.isfinite(outputs).all()),
        "parameters": sum(each.numel() for each in network.parameters()),
        "cpus": sorted(os.sched_getaffinity(0)),
        "versions": {
            "torch": torch.__version__,
            "torchvision": torchvision.__version__,
            "python": platform.python_version(),
        },
        "libraries": [],
        "peak_resident_bytes": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
    }
    with open(out_file, "w") as file:
        json.dump(result, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
