// What the tests against the fake call: operations that shapes tell apart, and how each is
// described.
#pragma once

#include <vector>

#include "api.h"
#include "check.h"
#include "operation.h"

namespace workload {

using operation::Kind;
using operation::Pass;

enum What {
  kReluForward,
  kReluBackward,
  kBatchNormForward,
  kBatchNormBackward,
  kConvolutionForward,
  kConvolutionBackwardData,
  kConvolutionBackwardWeights,
  kDeconvolutionForward,  // MKL-DNN's own kind, which MXNet does not use
  kInnerProductBackwardData,
  kInnerProductBackwardWeights,
  kLrnBackward,
  kPoolingBackward,
  kSoftmax,
  kReorder,
  kSum,
  kConcat,
  kShuffle,  // a kind that the library does not know
  kWhats,
};
// By What. `bias`: of the operation and of the forward pass that it takes its hint from, as MXNet
// has it.
const struct {
  const char *name;
  Kind kind;
  Pass pass;
  bool bias;
} kRows[kWhats] = {
    {"Activation", operation::kEltwise, operation::kForward, false},
    {"_backward_Activation", operation::kEltwise, operation::kBackwardData, false},
    {"BatchNorm", operation::kBatchNorm, operation::kForward, false},
    {"_backward_BatchNorm", operation::kBatchNorm, operation::kBackwardData, false},
    {"Convolution", operation::kConvolution, operation::kForward, false},
    {"_backward_Convolution", operation::kConvolution, operation::kBackwardData, false},
    {"_backward_Convolution", operation::kConvolution, operation::kBackwardWeights, true},
    {"Deconvolution", operation::kDeconvolution, operation::kForward, false},
    {"_backward_FullyConnected", operation::kInnerProduct, operation::kBackwardData, false},
    {"_backward_FullyConnected", operation::kInnerProduct, operation::kBackwardWeights, true},
    {"_backward_LRN", operation::kLrn, operation::kBackwardData, false},
    {"_backward_Pooling", operation::kPooling, operation::kBackwardData, false},
    {"softmax", operation::kSoftmax, operation::kForward, false},
    {"reorder", operation::kKinds, operation::kForward, false},
    {"sum", operation::kKinds, operation::kForward, false},
    {"Concat", operation::kKinds, operation::kForward, false},
    {"other", operation::kShuffle, operation::kForward, false}};

// The name under which the library counts it.
inline const char *name_of(What what) { return kRows[what].name; }
// All but the shuffle.
inline const std::vector<What> &known_kinds() {
  static const std::vector<What> all = [] {
    std::vector<What> known;
    for (int what = 0; what < kShuffle; ++what) known.push_back(static_cast<What>(what));
    return known;
  }();
  return all;
}

// A one-dimensional layout, and one of four dimensions.
inline mkldnn_memory_desc_t layout(int ndims, const Dim *dims, Format format) {
  mkldnn_memory_desc_t md;
  CHECK_OK(init_layout(&md, ndims, dims, mkldnn_f32, format));
  return md;
}
inline mkldnn_memory_desc_t line(Dim n) { return layout(1, &n, mkldnn_x); }
inline mkldnn_memory_desc_t image(Dim n, Format format = mkldnn_nchw) {
  const Dim dims[] = {1, 3, n, n};
  return layout(4, dims, format);
}

// What describes it, and its forward pass, in size `n`.
inline operation::Operation operation_of(What what, int n) {
  const mkldnn_memory_desc_t small = image(n);
  operation::Operation op;
  switch (kRows[what].kind) {
    case operation::kEltwise:
      op = operation::eltwise(mkldnn_eltwise_relu, small);
      break;
    case operation::kLrn:
      op = operation::lrn(mkldnn_lrn_across_channels, small);
      break;
    case operation::kPooling:
      op = operation::pooling(mkldnn_pooling_max, image(2 * n), small);
      break;
    case operation::kSoftmax:
    case operation::kShuffle:
      op = operation::softmax(small, 1);
      break;
    default:
      op = operation::convolution(small, image(3), small);
  }
  op.kind = kRows[what].kind;
  if (op.kind == operation::kDeconvolution) op.algorithm = mkldnn_deconvolution_direct;
  if (kRows[what].bias) op.biased(line(3));
  return op;
}
inline operation::OpDesc op_desc(What what, int n) {
  operation::OpDesc d;
  CHECK_OK(operation_of(what, n).describe(kRows[what].pass, &d));
  return d;
}

// A descriptor of operation `what` of size `n`: different sizes, different descriptions. A backward
// one makes its forward hint first and destroys it afterwards. `direct`: past the library.
inline mkldnn_status_t describe(mkldnn_engine_t engine, What what, int n,
                                mkldnn_primitive_desc_t *result, bool direct = false) {
  const api::Api &a = direct ? api::direct() : api::through();
  mkldnn_status_t status = mkldnn_success;
  if (kRows[what].kind == operation::kKinds) {
    const auto format = what == kReorder ? mkldnn_nhwc : mkldnn_nchw;
    const mkldnn_memory_desc_t layouts[] = {image(n), image(n, format)};
    const float scales[] = {1.0f, 2.0f};
#ifdef API1
    return what == kReorder ? a.reorder_primitive_desc_create(result, &layouts[0], engine,
                                                              &layouts[1], engine, nullptr)
           : what == kSum
               ? a.sum_primitive_desc_create(result, nullptr, 2, scales, layouts, nullptr, engine)
               : a.concat_primitive_desc_create(result, nullptr, 2, 1, layouts, nullptr, engine);
#else
    mkldnn_primitive_desc_t pds[] = {nullptr, nullptr};
    for (int i = 0; i < 2 && status == mkldnn_success; ++i) {
      status = a.memory_primitive_desc_create(&pds[i], &layouts[i], engine);
    }
    const_mkldnn_primitive_desc_t inputs[] = {pds[0], pds[1]};
    if (status == mkldnn_success) {
      status = what == kReorder
                   ? a.reorder_primitive_desc_create_v2(result, pds[0], pds[1], nullptr)
               : what == kSum ? a.sum_primitive_desc_create(result, nullptr, 2, scales, inputs)
                              : a.concat_primitive_desc_create(result, nullptr, 2, 1, inputs);
    }
    for (mkldnn_primitive_desc_t pd : pds) {
      if (pd != nullptr) a.primitive_desc_destroy(pd);
    }
    return status;
#endif
  }
  const operation::Operation op = operation_of(what, n);
  operation::OpDesc d, forward;
  mkldnn_primitive_desc_t hint = nullptr;
  status = op.describe(kRows[what].pass, &d);
  if (status == mkldnn_success && kRows[what].pass != operation::kForward) {
    status = op.describe(operation::kForward, &forward);
    if (status != mkldnn_success) return status;
    status = a.describe(&hint, &forward, nullptr, engine, nullptr);
  }
  if (status != mkldnn_success) return status;
  status = a.describe(result, &d, nullptr, engine, hint);
  if (hint != nullptr) a.primitive_desc_destroy(hint);
  return status;
}

}  // namespace workload
