"""Computes the expected results of MXNet's operators by NumPy and SciPy; never imports mxnet.

``REFERENCES`` finds an operator by MXNet's name. Its functions take ``inputs`` by MXNet's names,
``attributes`` as MXNet is given them, and where it applies ``head``, the gradient of the output;
all arrays are float64. Favours clarity over speed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Dict, Optional

import numpy

from harness.operators.cases.case import Arrays, Attributes
from harness.operators.reference import convolution, moving, normalisation, pointwise, pooling


@dataclass(frozen=True)
class Reference:
    """One operator: ``forward`` gives its output, ``gradients`` one for each learned input.

    ``terms`` gives how many numbers are added up over all of the output; the same sums, sorted
    differently, make the gradients, so that terms / size holds for an element of any array.
    ``extras`` gives what else the operator leaves, by the names of harness/worker/operators.py.
    """

    forward: Callable[[Arrays, Attributes], numpy.ndarray]
    gradients: Callable[[Arrays, Attributes, numpy.ndarray], Arrays]
    terms: Callable[[Arrays, Attributes, numpy.ndarray], int] = pointwise.one_term
    extras: Optional[Callable[[Arrays, Attributes], Arrays]] = None


_ADD = Reference(pointwise.add, pointwise.add_gradients, pointwise.add_terms)
_RESHAPE = Reference(moving.reshape, moving.copy_gradients)

REFERENCES: Dict[str, Reference] = {
    "Activation": Reference(pointwise.activation, pointwise.activation_gradients),
    "BatchNorm": Reference(
        normalisation.batch_norm,
        normalisation.batch_norm_gradients,
        extras=normalisation.batch_norm_extras,
    ),
    "Concat": Reference(moving.concat, moving.concat_gradients),
    "Convolution": Reference(
        convolution.convolution, convolution.convolution_gradients, convolution.convolution_terms
    ),
    "Deconvolution": Reference(
        convolution.deconvolution,
        convolution.deconvolution_gradients,
        convolution.deconvolution_terms,
    ),
    "Flatten": _RESHAPE,
    "FullyConnected": Reference(
        convolution.fully_connected,
        convolution.fully_connected_gradients,
        convolution.fully_connected_terms,
    ),
    "LRN": Reference(normalisation.lrn, normalisation.lrn_gradients, normalisation.lrn_terms),
    "Pooling": Reference(pooling.pooling, pooling.pooling_gradients, pooling.pooling_terms),
    "SoftmaxOutput": Reference(
        pointwise.softmax_output, pointwise.softmax_output_gradients, pointwise.softmax_terms
    ),
    "add_n": _ADD,
    "elemwise_add": _ADD,
    "elemwise_mul": Reference(pointwise.multiply, pointwise.multiply_gradients),
    "identity": Reference(moving.copy, moving.copy_gradients),
    "reshape": _RESHAPE,
    "slice_axis": Reference(moving.slice_axis, moving.slice_axis_gradients),
    "slice_like": Reference(moving.slice_like, moving.slice_like_gradients),
    "softmax": Reference(pointwise.softmax, pointwise.softmax_gradients, pointwise.softmax_terms),
    "transpose": Reference(moving.transpose, moving.transpose_gradients),
}
