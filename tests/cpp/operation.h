// The kinds of operations, once: what describes one of each, and which function of MKL-DNN says so
// for which pass.
#pragma once

#include <dlfcn.h>
#include <string.h>

#include "interface.h"

namespace operation {

enum Kind {
  kEltwise,
  kBatchNorm,
  kConvolution,
  kDeconvolution,  // MKL-DNN's own kind, which MXNet does not use
  kInnerProduct,
  kPooling,
  kLrn,
  kSoftmax,
  kShuffle,  // a kind that the library does not know
  kKinds,
};
enum Pass { kForward, kBackwardData, kBackwardWeights, kPasses };

// Any operation's description of any release; none has a longer one than a convolution's. Begins
// as garbage, never twice the same unless told.
union OpDesc {
  mkldnn_convolution_desc_t convolution;
  mkldnn_eltwise_desc_t eltwise;
  mkldnn_softmax_desc_t softmax;
  mkldnn_pooling_desc_t pooling;
  mkldnn_lrn_desc_t lrn;
  mkldnn_batch_normalization_desc_t batch_norm;
  mkldnn_inner_product_desc_t inner_product;
  mkldnn_shuffle_desc_t shuffle;
  int words[sizeof(mkldnn_convolution_desc_t) / sizeof(int)];

  explicit OpDesc(unsigned char garbage = next_garbage()) {
    memset(static_cast<void *>(this), garbage, sizeof(*this));
  }
  static unsigned char next_garbage() {
    static thread_local unsigned char garbage = 0;
    return ++garbage;
  }
};

// What describes an operation of any kind. Of each kind some is not used.
struct Operation {
  Kind kind = kEltwise;
  mkldnn_memory_desc_t src = {}, dst = {};  // in the layouts of the pass
  mkldnn_memory_desc_t weights = {}, bias = {};
  bool with_bias = false;
  mkldnn_alg_kind_t algorithm = mkldnn_convolution_direct;
  mkldnn_prop_kind_t forward = mkldnn_forward_training, backward = mkldnn_backward;
  Dim strides[2] = {1, 1}, kernel[2] = {1, 1}, left[2] = {0, 0}, right[2] = {0, 0};
  Dim dilates[2] = {0, 0};
  bool dilated = false;  // by the functions that say so, which the fake has not
  float alpha = 0, beta = 0, k = 1;
  float epsilon = 1e-3f;
  unsigned flags = mkldnn_use_scaleshift;
  int number = 0;  // an LRN's size, a softmax's or shuffle's axis

  // The same in both directions.
  Operation &window(int kernel_size, int stride, int before, int behind) {
    for (int i = 0; i < 2; ++i) {
      kernel[i] = kernel_size;
      strides[i] = stride;
      left[i] = before;
      right[i] = behind;
    }
    return *this;
  }
  Operation &window(int kernel_size, int stride, int padding) {
    return window(kernel_size, stride, padding, padding);
  }
  Operation &biased(const mkldnn_memory_desc_t &md) {
    bias = md;
    with_bias = true;
    return *this;
  }

  mkldnn_status_t describe(Pass pass, OpDesc *d) const;
};

inline Operation layers(Kind kind, mkldnn_alg_kind_t algorithm, const mkldnn_memory_desc_t &src,
                        const mkldnn_memory_desc_t &weights, const mkldnn_memory_desc_t &dst) {
  Operation op;
  op.kind = kind;
  op.algorithm = algorithm;
  op.src = src;
  op.weights = weights;
  op.dst = dst;
  return op;
}
inline Operation convolution(const mkldnn_memory_desc_t &src, const mkldnn_memory_desc_t &weights,
                             const mkldnn_memory_desc_t &dst) {
  return layers(kConvolution, mkldnn_convolution_direct, src, weights, dst);
}
inline Operation inner_product(const mkldnn_memory_desc_t &src, const mkldnn_memory_desc_t &weights,
                               const mkldnn_memory_desc_t &dst) {
  return layers(kInnerProduct, mkldnn_alg_kind_undef, src, weights, dst);
}
inline Operation pooling(mkldnn_alg_kind_t algorithm, const mkldnn_memory_desc_t &src,
                         const mkldnn_memory_desc_t &dst) {
  return layers(kPooling, algorithm, src, {}, dst).window(2, 2, 0);
}
inline Operation eltwise(mkldnn_alg_kind_t algorithm, const mkldnn_memory_desc_t &data,
                         float alpha = 0) {
  Operation op = layers(kEltwise, algorithm, data, {}, data);
  op.alpha = alpha;
  return op;
}
inline Operation lrn(mkldnn_alg_kind_t algorithm, const mkldnn_memory_desc_t &data) {
  Operation op = layers(kLrn, algorithm, data, {}, data);
  op.number = 5;
  op.alpha = 1e-4f;
  op.beta = 0.75f;
  return op;
}
inline Operation batch_norm(const mkldnn_memory_desc_t &data) {
  return layers(kBatchNorm, mkldnn_alg_kind_undef, data, {}, data);
}
inline Operation softmax(const mkldnn_memory_desc_t &data, int axis) {
  Operation op = layers(kSoftmax, mkldnn_alg_kind_undef, data, {}, data);
  op.number = axis;
  return op;
}

// Functions that not every MKL-DNN has, which a program cannot be linked with.
#define OPERATION_SOME(name) reinterpret_cast<decltype(&name)>(dlsym(RTLD_DEFAULT, #name))

#define OPERATION_LINKED(name) name

// What stands behind and before the data, in a call.
#ifdef API1
#define OPERATION_PADDING left, right
#else
#define OPERATION_PADDING left, right, mkldnn_padding_zero
#endif

// A convolution of any sort; the arguments that follow are its window.
#define OPERATION_CONVOLUTION(sort, REACH, ...)                                               \
  (ahead ? REACH(mkldnn_##sort##_forward_desc_init)(c, forward, algorithm, &src, &weights, b, \
                                                    &dst, __VA_ARGS__)                        \
   : pass == kBackwardData ? REACH(mkldnn_##sort##_backward_data_desc_init)(                  \
                                 c, algorithm, &src, &weights, &dst, __VA_ARGS__)             \
                           : REACH(mkldnn_##sort##_backward_weights_desc_init)(               \
                                 c, algorithm, &src, &weights, b, &dst, __VA_ARGS__))

inline mkldnn_status_t Operation::describe(Pass pass, OpDesc *d) const {
  const mkldnn_memory_desc_t *const b = with_bias ? &bias : nullptr;
  mkldnn_convolution_desc_t *const c = &d->convolution;
  const bool ahead = pass == kForward;
  switch (kind) {
    case kConvolution:
      return dilated
                 ? OPERATION_CONVOLUTION(dilated_convolution, OPERATION_SOME, strides, dilates,
                                         OPERATION_PADDING)
                 : OPERATION_CONVOLUTION(convolution, OPERATION_LINKED, strides, OPERATION_PADDING);
    case kDeconvolution:
      return OPERATION_CONVOLUTION(deconvolution, OPERATION_LINKED, strides, OPERATION_PADDING);
    case kInnerProduct:
      return ahead ? mkldnn_inner_product_forward_desc_init(&d->inner_product, forward, &src,
                                                            &weights, b, &dst)
             : pass == kBackwardData ? mkldnn_inner_product_backward_data_desc_init(
                                           &d->inner_product, &src, &weights, &dst)
                                     : mkldnn_inner_product_backward_weights_desc_init(
                                           &d->inner_product, &src, &weights, b, &dst);
    case kPooling:
      return ahead ? mkldnn_pooling_forward_desc_init(&d->pooling, forward, algorithm, &src, &dst,
                                                      strides, kernel, OPERATION_PADDING)
                   : mkldnn_pooling_backward_desc_init(&d->pooling, algorithm, &src, &dst, strides,
                                                       kernel, OPERATION_PADDING);
    case kEltwise:
      return ahead ? mkldnn_eltwise_forward_desc_init(&d->eltwise, forward, algorithm, &src, alpha,
                                                      beta)
                   : mkldnn_eltwise_backward_desc_init(&d->eltwise, algorithm, &dst, &src, alpha,
                                                       beta);
    case kLrn:
      return ahead ? mkldnn_lrn_forward_desc_init(&d->lrn, forward, algorithm, &src, number, alpha,
                                                  beta, k)
                   : mkldnn_lrn_backward_desc_init(&d->lrn, algorithm, &dst, &src, number, alpha,
                                                   beta, k);
    case kBatchNorm:
      return ahead ? mkldnn_batch_normalization_forward_desc_init(&d->batch_norm, forward, &src,
                                                                  epsilon, flags)
                   : mkldnn_batch_normalization_backward_desc_init(&d->batch_norm, backward, &dst,
                                                                   &src, epsilon, flags);
    case kSoftmax:
#ifdef API1
      if (!ahead) return mkldnn_softmax_backward_desc_init(&d->softmax, &dst, &src, number);
#endif
      return mkldnn_softmax_forward_desc_init(&d->softmax, forward, &src, number);
    case kShuffle:
      return OPERATION_SOME(mkldnn_shuffle_forward_desc_init)(&d->shuffle, forward, &src, number,
                                                              2);
    default:
      return mkldnn_invalid_arguments;
  }
}

}  // namespace operation
