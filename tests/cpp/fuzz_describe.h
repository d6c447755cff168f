// Descriptions for the fake that differ in one field or in none: of each kind there is a plain one,
// and for every field others that differ only there. Shapes need not fit; the fake does not look.
#pragma once

#include <mkldnn.h>
#include <stdint.h>

#include <initializer_list>

#include "operation.h"

namespace fuzz {

using operation::kForward;
using operation::kPasses;
using operation::OpDesc;
using operation::Pass;

// Which field differs from the plain description and how; field 255 .. 128: none.
struct Variation {
  uint8_t field;
  uint8_t value;
};

// Hands out the plain choice for every field but one.
class Fields {
 public:
  explicit Fields(Variation v) : variation_(v), next_(0) {}
  // 0 for the plain choice, else 1 .. n - 1.
  int choose(int n) { return next_++ == variation_.field ? 1 + variation_.value % (n - 1) : 0; }
  template <class T>
  T of(std::initializer_list<T> choices) {
    return choices.begin()[choose(static_cast<int>(choices.size()))];
  }

 private:
  Variation variation_;
  int next_;
};

inline mkldnn_memory_desc_t memory(Fields *f, int ndims = 4) {
  int dims[5] = {1, 3, 4, 4, 4};
  for (int i = 0; i < ndims; ++i) dims[i] += f->choose(3);
  const mkldnn_memory_format_t format =
      f->of({mkldnn_nchw, mkldnn_nhwc, mkldnn_nChw8c, mkldnn_any, mkldnn_nChw16c});
  mkldnn_memory_desc_t md;
  mkldnn_memory_desc_init(&md, ndims, dims, f->of({mkldnn_f32, mkldnn_s32, mkldnn_s8, mkldnn_u8}),
                          format);
  mkldnn_blocking_desc_t &b = md.layout_desc.blocking;
  const int strides = f->choose(3), padding = f->choose(3), blocks = f->choose(3);
  const int data_offset = f->choose(3), offset = f->choose(3);
  // A layout that was never said has none of these.
  if (format == mkldnn_any) return md;
  b.strides[0][strides % ndims] += strides;
  b.strides[1][blocks % ndims] += blocks;
  b.block_dims[1] += blocks;
  b.padding_dims[padding % ndims] += padding;
  b.offset_padding_to_data[data_offset % ndims] += data_offset;
  b.offset_padding += offset;
  return md;
}

inline void window(Fields *f, operation::Operation *op) {
  for (int i = 0; i < 2; ++i) {
    op->strides[i] = 1 + f->choose(3);
    op->kernel[i] = 2 + f->choose(3);
    op->left[i] = f->choose(3);
    op->right[i] = f->choose(3);
  }
}

inline operation::Operation operation_of(Fields *f, operation::Kind kind) {
  const bool layers = kind == operation::kConvolution || kind == operation::kDeconvolution ||
                      kind == operation::kInnerProduct;
  operation::Operation op;
  op.kind = kind;
  op.src = memory(f);
  if (layers) {
    op.weights = memory(f);
    op.dst = memory(f);
    const int dims[] = {3 + f->choose(3)};
    mkldnn_memory_desc_init(&op.bias, 1, dims, mkldnn_f32, mkldnn_x);
    op.with_bias = f->choose(2) == 0;
  } else if (kind != operation::kSoftmax && kind != operation::kShuffle) {
    op.dst = memory(f);
  }
  switch (kind) {
    case operation::kConvolution:
    case operation::kDeconvolution:
      window(f, &op);
      op.algorithm = kind == operation::kConvolution
                         ? f->of({mkldnn_convolution_direct, mkldnn_convolution_winograd})
                         : f->of({mkldnn_deconvolution_direct, mkldnn_deconvolution_winograd});
      break;
    case operation::kPooling:
      window(f, &op);
      op.algorithm = f->of({mkldnn_pooling_max, mkldnn_pooling_avg_include_padding,
                            mkldnn_pooling_avg_exclude_padding});
      break;
    case operation::kEltwise:
      op.algorithm = f->of({mkldnn_eltwise_relu, mkldnn_eltwise_tanh, mkldnn_eltwise_linear});
      op.alpha = f->of({0.0f, 0.25f, -0.0f});
      op.beta = f->of({0.0f, 0.25f, -0.0f});
      break;
    case operation::kLrn:
      op.algorithm = f->of({mkldnn_lrn_across_channels, mkldnn_lrn_within_channel});
      op.number = f->of({5, 3});
      op.alpha = f->of({1e-4f, 2e-4f});
      op.beta = f->of({0.75f, 0.5f});
      op.k = f->of({1.0f, 2.0f});
      break;
    case operation::kBatchNorm:
      op.epsilon = f->of({1e-3f, 1e-5f});
      op.flags = f->of<unsigned>({mkldnn_use_scaleshift, 0, mkldnn_use_global_stats,
                                  mkldnn_use_scaleshift | mkldnn_use_global_stats});
      break;
    default:
      op.number = 1 + f->choose(3);  // an axis
  }
  if (f->choose(2) != 0) op.forward = mkldnn_forward_inference;
  return op;
}

// A description of one of the kinds (by number, modulo how many there are).
inline void describe(int kind, Pass pass, Variation variation, OpDesc *d) {
  Fields f(variation);
  const int n = kind % (operation::kKinds + 1);
  if (n == operation::kKinds) {
    // No kind at all.
    d->words[0] = d->words[1] = variation.value * 1000;
    return;
  }
  operation::Operation op = operation_of(&f, static_cast<operation::Kind>(n));
  if (pass == operation::kBackwardWeights) op.backward = mkldnn_backward_data;
  op.describe(pass, d);
  if (n == operation::kConvolution || n == operation::kDeconvolution) {
    d->convolution.dilates[0] = f.choose(3);
    d->convolution.dilates[1] = f.choose(3);
  }
}

inline mkldnn_memory_desc_t describe_memory(Variation variation) {
  Fields f(variation);
  return memory(&f, variation.field % 7 == 6 ? 5 : 4);
}

}  // namespace fuzz
