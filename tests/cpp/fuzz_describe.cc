#include "fuzz_describe.h"

#include <string.h>

namespace fuzz {

namespace {

// Hands out the plain choice for every field but one.
class Fields {
 public:
  explicit Fields(Variation v) : variation_(v), next_(0) {}
  // 0 for the plain choice, else 1 .. n - 1.
  int choose(int n) { return next_++ == variation_.field ? 1 + variation_.value % (n - 1) : 0; }
  template <class T, int n>
  T of(const T (&choices)[n]) {
    return choices[choose(n)];
  }

 private:
  Variation variation_;
  int next_;
};

mkldnn_memory_desc_t memory(Fields *f, int ndims = 4) {
  static const mkldnn_memory_format_t kFormats[] = {mkldnn_nchw, mkldnn_nhwc, mkldnn_nChw8c,
                                                    mkldnn_any, mkldnn_nChw16c};
  static const mkldnn_data_type_t kTypes[] = {mkldnn_f32, mkldnn_s32, mkldnn_s8, mkldnn_u8};
  int dims[5] = {1, 3, 4, 4, 4};
  for (int i = 0; i < ndims; ++i) dims[i] += f->choose(3);
  const mkldnn_memory_format_t format = f->of(kFormats);
  mkldnn_memory_desc_t md;
  mkldnn_memory_desc_init(&md, ndims, dims, f->of(kTypes), format);
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

// A memory of one dimension, which may be absent.
const mkldnn_memory_desc_t *bias(Fields *f, mkldnn_memory_desc_t *md) {
  const int dims[] = {3 + f->choose(3)};
  mkldnn_memory_desc_init(md, 1, dims, mkldnn_f32, mkldnn_x);
  return f->choose(2) == 0 ? md : nullptr;
}

struct Window {
  int strides[2], kernel[2], left[2], right[2];
  explicit Window(Fields *f) {
    for (int i = 0; i < 2; ++i) {
      strides[i] = 1 + f->choose(3);
      kernel[i] = 2 + f->choose(3);
      left[i] = f->choose(3);
      right[i] = f->choose(3);
    }
  }
};

mkldnn_prop_kind_t forward_kind(Fields *f) {
  return f->choose(2) == 0 ? mkldnn_forward_training : mkldnn_forward_inference;
}

template <class D>
void convolution(Fields *f, Pass pass, bool transposed, D *d) {
  static const mkldnn_alg_kind_t kPlain[] = {mkldnn_convolution_direct,
                                             mkldnn_convolution_winograd};
  static const mkldnn_alg_kind_t kTransposed[] = {mkldnn_deconvolution_direct,
                                                  mkldnn_deconvolution_winograd};
  const mkldnn_memory_desc_t src = memory(f), weights = memory(f), dst = memory(f);
  mkldnn_memory_desc_t b;
  const mkldnn_memory_desc_t *const with_bias = bias(f, &b);
  const Window w(f);
  const mkldnn_alg_kind_t alg = transposed ? f->of(kTransposed) : f->of(kPlain);
  const mkldnn_prop_kind_t prop_kind = forward_kind(f);
  if (pass == kForward) {
    (transposed ? mkldnn_deconvolution_forward_desc_init : mkldnn_convolution_forward_desc_init)(
        d, prop_kind, alg, &src, &weights, with_bias, &dst, w.strides, w.left, w.right,
        mkldnn_padding_zero);
  } else if (pass == kBackwardData) {
    (transposed ? mkldnn_deconvolution_backward_data_desc_init
                : mkldnn_convolution_backward_data_desc_init)(
        d, alg, &src, &weights, &dst, w.strides, w.left, w.right, mkldnn_padding_zero);
  } else {
    (transposed ? mkldnn_deconvolution_backward_weights_desc_init
                : mkldnn_convolution_backward_weights_desc_init)(
        d, alg, &src, &weights, with_bias, &dst, w.strides, w.left, w.right, mkldnn_padding_zero);
  }
  d->dilates[0] = f->choose(3);
  d->dilates[1] = f->choose(3);
}

void inner_product(Fields *f, Pass pass, mkldnn_inner_product_desc_t *d) {
  const mkldnn_memory_desc_t src = memory(f), weights = memory(f), dst = memory(f);
  mkldnn_memory_desc_t b;
  const mkldnn_memory_desc_t *const with_bias = bias(f, &b);
  const mkldnn_prop_kind_t prop_kind = forward_kind(f);
  if (pass == kForward) {
    mkldnn_inner_product_forward_desc_init(d, prop_kind, &src, &weights, with_bias, &dst);
  } else if (pass == kBackwardData) {
    mkldnn_inner_product_backward_data_desc_init(d, &src, &weights, &dst);
  } else {
    mkldnn_inner_product_backward_weights_desc_init(d, &src, &weights, with_bias, &dst);
  }
}

void pooling(Fields *f, Pass pass, mkldnn_pooling_desc_t *d) {
  static const mkldnn_alg_kind_t kAlgorithms[] = {
      mkldnn_pooling_max, mkldnn_pooling_avg_include_padding, mkldnn_pooling_avg_exclude_padding};
  const mkldnn_memory_desc_t src = memory(f), dst = memory(f);
  const Window w(f);
  const mkldnn_alg_kind_t alg = f->of(kAlgorithms);
  const mkldnn_prop_kind_t prop_kind = forward_kind(f);
  if (pass == kForward) {
    mkldnn_pooling_forward_desc_init(d, prop_kind, alg, &src, &dst, w.strides, w.kernel, w.left,
                                     w.right, mkldnn_padding_zero);
  } else {
    mkldnn_pooling_backward_desc_init(d, alg, &src, &dst, w.strides, w.kernel, w.left, w.right,
                                      mkldnn_padding_zero);
  }
}

void eltwise(Fields *f, Pass pass, mkldnn_eltwise_desc_t *d) {
  static const mkldnn_alg_kind_t kAlgorithms[] = {mkldnn_eltwise_relu, mkldnn_eltwise_tanh,
                                                  mkldnn_eltwise_linear};
  static const float kNumbers[] = {0.0f, 0.25f, -0.0f};
  const mkldnn_memory_desc_t data = memory(f), diff = memory(f);
  const mkldnn_alg_kind_t alg = f->of(kAlgorithms);
  const float alpha = f->of(kNumbers), beta = f->of(kNumbers);
  const mkldnn_prop_kind_t prop_kind = forward_kind(f);
  if (pass == kForward) {
    mkldnn_eltwise_forward_desc_init(d, prop_kind, alg, &data, alpha, beta);
  } else {
    mkldnn_eltwise_backward_desc_init(d, alg, &diff, &data, alpha, beta);
  }
}

void lrn(Fields *f, Pass pass, mkldnn_lrn_desc_t *d) {
  static const mkldnn_alg_kind_t kAlgorithms[] = {mkldnn_lrn_across_channels,
                                                  mkldnn_lrn_within_channel};
  static const int kSizes[] = {5, 3};
  static const float kAlphas[] = {1e-4f, 2e-4f}, kBetas[] = {0.75f, 0.5f}, kKs[] = {1.0f, 2.0f};
  const mkldnn_memory_desc_t data = memory(f), diff = memory(f);
  const mkldnn_alg_kind_t alg = f->of(kAlgorithms);
  const int size = f->of(kSizes);
  const float alpha = f->of(kAlphas), beta = f->of(kBetas), k = f->of(kKs);
  const mkldnn_prop_kind_t prop_kind = forward_kind(f);
  if (pass == kForward) {
    mkldnn_lrn_forward_desc_init(d, prop_kind, alg, &data, size, alpha, beta, k);
  } else {
    mkldnn_lrn_backward_desc_init(d, alg, &diff, &data, size, alpha, beta, k);
  }
}

void batch_norm(Fields *f, Pass pass, mkldnn_batch_normalization_desc_t *d) {
  static const float kEpsilons[] = {1e-3f, 1e-5f};
  static const unsigned kFlags[] = {mkldnn_use_scaleshift, 0, mkldnn_use_global_stats,
                                    mkldnn_use_scaleshift | mkldnn_use_global_stats};
  const mkldnn_memory_desc_t data = memory(f), diff = memory(f);
  const float epsilon = f->of(kEpsilons);
  const unsigned flags = f->of(kFlags);
  const mkldnn_prop_kind_t prop_kind = forward_kind(f);
  if (pass == kForward) {
    mkldnn_batch_normalization_forward_desc_init(d, prop_kind, &data, epsilon, flags);
  } else {
    mkldnn_batch_normalization_backward_desc_init(
        d, pass == kBackwardData ? mkldnn_backward : mkldnn_backward_data, &diff, &data, epsilon,
        flags);
  }
}

void softmax(Fields *f, mkldnn_softmax_desc_t *d) {
  const mkldnn_memory_desc_t data = memory(f);
  const int axis = 1 + f->choose(3);
  mkldnn_softmax_forward_desc_init(d, forward_kind(f), &data, axis);
}

}  // namespace

OpDesc::OpDesc() {
  static thread_local unsigned char garbage = 0;
  memset(static_cast<void *>(this), ++garbage, sizeof(*this));
}

void describe(int kind, Pass pass, Variation variation, OpDesc *d) {
  Fields fields(variation), *const f = &fields;
  switch (kind % 10) {
    case 0:
      return eltwise(f, pass, &d->eltwise);
    case 1:
      return batch_norm(f, pass, &d->batch_norm);
    case 2:
      return convolution(f, pass, false, &d->convolution);
    case 3:
      return convolution(f, pass, true, &d->convolution);
    case 4:
      return inner_product(f, pass, &d->inner_product);
    case 5:
      return pooling(f, pass, &d->pooling);
    case 6:
      return lrn(f, pass, &d->lrn);
    case 7:
      return softmax(f, &d->softmax);
    case 8: {
      // A kind that the library does not know.
      const mkldnn_memory_desc_t data = memory(f);
      mkldnn_shuffle_forward_desc_init(&d->shuffle, mkldnn_forward_training, &data, 1, 2);
      return;
    }
    default:
      // No kind at all.
      d->words[0] = d->words[1] = variation.value * 1000;
  }
}

mkldnn_memory_desc_t describe_memory(Variation variation) {
  Fields f(variation);
  return memory(&f, variation.field % 7 == 6 ? 5 : 4);
}

}  // namespace fuzz
