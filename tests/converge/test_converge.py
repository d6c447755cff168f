"""Convergence runs: batches, schedule, checkpoints, differing bits and kills."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path
from typing import List

import numpy
import pytest
from pytest import CaptureFixture, MonkeyPatch

from harness.__main__ import main
from harness.base.layout import Layout
from harness.base.toml import load
from harness.build.toolchain import load_toolchain
from harness.converge import checkpoint, cifar10, dataset
from harness.converge.config import ConvergeConfig, resolve
from harness.converge.dataset import DataSet, Images
from harness.converge.images import Normalisation, TrainingImages, validation_batches
from harness.converge.record import ConvergeRecord, partings
from harness.converge.record import load as record_of
from harness.converge.schedule import learning_rate
from harness.trials import own
from harness.verify.faults import faulty
from tests.support.commands import python, refusal, run
from tests.support.own_builds import OwnPair
from tests.support.processes import wait_until

RECORDS = 100


def numbered(count: int) -> Images:
    """Images of one colour each; image i is of colour i, so that crops tell where they are from."""
    pixels = numpy.empty((count, 3, 32, 32), dtype=numpy.uint8)
    pixels[:] = numpy.arange(count, dtype=numpy.uint8).reshape(count, 1, 1, 1)
    return Images(pixels, (numpy.arange(count) % 10).astype(numpy.uint8))


PLAIN = Normalisation(numpy.zeros((3, 1, 1), numpy.float32), numpy.ones((3, 1, 1), numpy.float32))


def test_rate_rises_to_the_peak_and_falls_to_zero() -> None:
    rates = [learning_rate(step, 10, 4, 0.8) for step in range(10)]
    assert rates == pytest.approx(
        [0.2, 0.4, 0.6, 0.8, 0.8, 0.8 * 5 / 6, 0.8 * 4 / 6, 0.4, 0.8 * 2 / 6, 0.8 / 6]
    )
    assert learning_rate(0, 3, 0, 0.3) == pytest.approx(0.3)
    for step in (-1, 10):
        with pytest.raises(ValueError, match=f"expected 0 to 9, found {step}"):
            learning_rate(step, 10, 4, 0.8)


def test_normalised_images_have_mean_zero_and_deviation_one() -> None:
    data = cifar10.synthetic(training=500, validation=10)
    found = Normalisation.of(data.training).apply(data.training.pixels)
    assert found.dtype == numpy.float32
    assert found.mean(axis=(0, 2, 3)) == pytest.approx([0, 0, 0], abs=1e-3)
    assert found.std(axis=(0, 2, 3)) == pytest.approx([1, 1, 1], abs=1e-3)


def test_an_epoch_shows_every_image_at_most_once_with_its_label() -> None:
    images = TrainingImages(numbered(70), PLAIN, batch_size=16)
    assert images.batches == 4
    middles: List[float] = []
    for pixels, labels in images.epoch(seed=1, epoch=0):
        assert pixels.shape == (16, 3, 32, 32) and pixels.dtype == numpy.float32
        middle = pixels[:, 0, 16, 16]
        assert (middle % 10 == labels).all()
        middles += middle.tolist()
    assert len(set(middles)) == 64

    def shown(seed: int, epoch: int) -> bytes:
        return b"".join(pixels.tobytes() for pixels, _ in images.epoch(seed, epoch))

    assert shown(1, 3) == shown(1, 3)
    assert shown(1, 3) != shown(1, 4)
    assert shown(1, 3) != shown(2, 3)


def test_every_crop_is_a_window_of_the_padded_image_and_half_are_mirrored() -> None:
    pixels = numpy.arange(1, 1025).reshape(1, 1, 32, 32).repeat(3, axis=1) % 251
    one = Images(pixels.astype(numpy.uint8), numpy.zeros(1, numpy.uint8))
    padded = numpy.zeros((40, 40), numpy.float32)
    padded[4:36, 4:36] = one.pixels[0, 0]
    windows = {padded[t : t + 32, x : x + 32].tobytes() for t in range(9) for x in range(9)}
    images = TrainingImages(one, PLAIN, batch_size=1)
    mirrored = 0
    seen = set()
    for epoch in range(200):
        ((shown, _),) = images.epoch(seed=1, epoch=epoch)
        for plane in shown[0]:
            plain, flipped = plane.tobytes(), plane[:, ::-1].tobytes()
            assert plain in windows or flipped in windows
        mirrored += plain not in windows
        seen.add(plain)
    assert 60 < mirrored < 140
    assert len(seen) > 100  # of 162


def test_validation_shows_all_images_in_order_and_fills_the_last_batch() -> None:
    batches = list(validation_batches(numbered(10), PLAIN, batch_size=4))
    assert [pixels[:, 0, 0, 0].tolist() for pixels, _ in batches] == [
        [0, 1, 2, 3],
        [4, 5, 6, 7],
        [8, 9, 9, 9],
    ]
    assert [len(labels) for _, labels in batches] == [4, 4, 2]


def test_prepared_data_is_checked_by_its_digest(tmp_path: Path) -> None:
    data = DataSet(numbered(5), numbered(3), "CIFAR-10")
    path = dataset.save(tmp_path, data)
    again = dataset.load(path, dataset.digest(data))
    assert again.training.pixels.tobytes() == data.training.pixels.tobytes()
    assert again.source == "CIFAR-10"
    assert "expected sha256 00, found " in refusal(dataset.load, path, "00")


ARRAYS = {
    "parameter:a": numpy.arange(6, dtype=numpy.float32).reshape(2, 3),
    "momentum:0": numpy.ones(3, dtype=numpy.float32),
}


def test_checkpoint_comes_back_whole(tmp_path: Path) -> None:
    assert checkpoint.load(tmp_path, {"seed": 1}) is None
    assert checkpoint.epochs(tmp_path) == []
    checkpoint.save(tmp_path, ARRAYS, {"seed": 1}, [{"epoch": 1}])
    kept = checkpoint.load(tmp_path, {"seed": 1})
    assert kept is not None
    assert checkpoint.digest(kept[0]) == checkpoint.digest(ARRAYS)
    assert kept[1] == checkpoint.epochs(tmp_path) == [{"epoch": 1}]
    # Another training must not continue it.
    assert "seed: checkpoint=1, asked=2" in refusal(checkpoint.load, tmp_path, {"seed": 2})


def test_digest_knows_every_bit_name_and_shape() -> None:
    found = {checkpoint.digest(ARRAYS)}
    for name, array in ARRAYS.items():
        changed = array.copy()
        changed.flat[0] = numpy.nextafter(changed.flat[0], numpy.float32(9))
        found.add(checkpoint.digest({**ARRAYS, name: changed}))
        found.add(checkpoint.digest({**ARRAYS, name: array.reshape(-1, 1)}))
    renamed = {name.replace("a", "b"): array for name, array in ARRAYS.items()}
    assert len({*found, checkpoint.digest(renamed)}) == 6


@pytest.mark.parametrize("name", ["converge-quick.toml", "converge-full.toml"])
def test_configurations_are_sound(layout: Layout, name: str) -> None:
    config = load(layout.root / "configs" / name, ConvergeConfig)
    trainings = resolve(config, load_toolchain(layout.toolchain), None, None, {})
    assert len(trainings) == len(config.trainings)


@pytest.fixture
def data_folder(tmp_path: Path) -> Path:
    """A small data set in the official form."""
    data = cifar10.synthetic(training=6 * RECORDS, validation=1)
    folder = tmp_path / "data"
    folder.mkdir()
    records = numpy.concatenate(
        [data.training.labels[:, None], data.training.pixels.reshape(6 * RECORDS, -1)], axis=1
    )
    for i, name in enumerate((*cifar10.TRAINING_FILES, cifar10.TEST_FILE)):
        (folder / name).write_bytes(records[i * RECORDS : (i + 1) * RECORDS].tobytes())
    return folder


# A process of the command line that takes small files for CIFAR-10's.
SMALL_COMMAND = f"""
import sys
from harness import __main__
from harness.converge import cifar10
cifar10.RECORDS = {RECORDS}
sys.exit(__main__.main(sys.argv[1:]))
"""
SMALL = "--model seven-ops --epochs 3 --subset 256 --batch-size 32".split()


def converge(data_folder: Path, *options: object) -> List[str]:
    options = ("converge", *SMALL, "--data-dir", data_folder, *options)
    return python(SMALL_COMMAND, *options)


def bits(record: ConvergeRecord, scope: str) -> List[str]:
    return [epoch.state_sha256 for epoch in record.curve(0, scope).epochs]


def test_killed_training_has_the_same_bits(
    built: Layout, data_folder: Path, tmp_path: Path
) -> None:
    whole, killed = tmp_path / "whole.json", tmp_path / "killed.json"
    here = {"cwd": built.root, "env": None, "timeout": 300}
    done = run(converge(data_folder, "--out", whole), **here)
    assert done.returncode == 0, done.stderr
    assert "equal bits in all of the 3 epochs" in done.stdout
    assert "CIFAR-10" in done.stdout and "synthetic" not in done.stdout

    with subprocess.Popen(
        converge(data_folder, "--out", killed), cwd=built.root, stderr=subprocess.DEVNULL
    ) as process:
        wait_until(
            lambda: process.poll() is not None
            or (killed.is_file() and bool(bits(record_of(killed), "all"))),
            timeout_s=300,
        )
        process.kill()
    assert process.returncode == -signal.SIGKILL
    left = record_of(killed)
    assert any(curve.evidence is None for curve in left.curves)

    done = run(converge(data_folder, "--resume", killed), **here)
    assert done.returncode == 0, done.stderr
    for scope in ("stock", "all"):
        assert bits(record_of(killed), scope) == bits(record_of(whole), scope)
        assert len(set(bits(record_of(whole), scope))) == 3

    # Other settings are not mixed with it.
    done = run(converge(data_folder, "--resume", killed, "--epochs", "4"), **here)
    assert done.returncode == 2
    assert "settings.trainings.0.epochs: recorded=3, asked=4" in done.stderr


def test_differing_bits_end_the_run(
    built: Layout,
    data_folder: Path,
    tmp_path: Path,
    monkeypatch: MonkeyPatch,
    capsys: CaptureFixture,
) -> None:
    """With a library that takes one activation for another."""
    monkeypatch.setattr(cifar10, "RECORDS", RECORDS)
    monkeypatch.setattr(own, "here", lambda: faulty(built, "DROP-op.alg_kind"))
    path = tmp_path / "parted.json"
    options = ["--data-dir", str(data_folder), "--scopes", "stock,preload:all"]
    assert main(["converge", *SMALL, *options, "--out", str(path)]) == 1
    out, err = capsys.readouterr()
    assert "seven-ops 1.4.1: bits differ in epoch 1: stock=" in err
    assert "DIFFER: 0 of " in out
    assert "1 curve differs from the first of the same training" in out
    assert main(["converge", "--show", str(path)]) == 1


def test_two_builds_have_a_curve_each(
    own_pair: OwnPair, data_folder: Path, tmp_path: Path, monkeypatch: MonkeyPatch
) -> None:
    monkeypatch.setattr(cifar10, "RECORDS", RECORDS)
    path = tmp_path / "own.json"
    small = "--model seven-ops --epochs 2 --subset 64 --batch-size 32 --scopes all".split()
    options = ["--data-dir", str(data_folder), "--out", str(path)]
    assert main(["converge", *small, *options, *own_pair.options]) == 0
    found = record_of(path)
    assert found.settings.trainings[0].scopes == [own_pair.against, "all"]
    assert sorted(bits(found, "all")) == sorted(bits(found, own_pair.against)) != []
    assert partings(found) == [] and own_pair.has_no_path(path)


def test_without_data_everything_says_synthetic(
    built: Layout, tmp_path: Path, monkeypatch: MonkeyPatch, capsys: CaptureFixture
) -> None:
    monkeypatch.delenv("CIFAR10_DIR", raising=False)
    monkeypatch.setattr(cifar10, "URL", "http://127.0.0.1:1/cifar-10-binary.tar.gz")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    path = tmp_path / "made-up.json"
    small = "--model seven-ops --epochs 2 --subset 64 --batch-size 32 --scopes all".split()
    assert main(["converge", *small, "--out", str(path)]) == 0
    out, err = capsys.readouterr()
    assert "training on synthetic data" in err
    assert "**Convergence on synthetic, a generated stand-in for CIFAR-10:" in out
    assert "**Epochs (synthetic)**" in out
    assert "% (synthetic)," in out + err
    assert json.loads(path.read_text())["settings"]["data"]["source"] == "synthetic"
