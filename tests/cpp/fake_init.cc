// The exported functions of the fake MKL-DNN that fill the operations' descriptions. What a
// description does not use stays garbage, as the caller left it.
#include <string.h>

#include "fake_call.h"

using namespace fake;

namespace {

const mkldnn_memory_desc_t kAbsent = {};

void copy_dims(int *to, const int *from, int ndims) {
  memcpy(to, from, sizeof(int) * static_cast<size_t>(ndims > 2 ? ndims - 2 : 0));
}

void no_dilation(int *dilates) { memset(dilates, 0, sizeof(mkldnn_dims_t)); }

// The memories of a convolution or inner product, and its kind; nullptr: absent.
template <class D>
void set_layers(D *d, mkldnn_primitive_kind_t kind, mkldnn_prop_kind_t prop_kind,
                const mkldnn_memory_desc_t *src, const mkldnn_memory_desc_t *weights,
                const mkldnn_memory_desc_t *bias, const mkldnn_memory_desc_t *dst) {
  const bool backward_data = prop_kind == mkldnn_backward_data;
  const bool backward_weights = prop_kind == mkldnn_backward_weights;
  const bool forward = !backward_data && !backward_weights;
  const mkldnn_memory_desc_t &b = bias != nullptr ? *bias : kAbsent;
  d->primitive_kind = kind;
  d->prop_kind = prop_kind;
  d->src_desc = backward_data ? kAbsent : *src;
  d->diff_src_desc = backward_data ? *src : kAbsent;
  d->weights_desc = backward_weights ? kAbsent : *weights;
  d->diff_weights_desc = backward_weights ? *weights : kAbsent;
  d->bias_desc = backward_weights ? kAbsent : b;
  d->diff_bias_desc = backward_weights ? b : kAbsent;
  d->dst_desc = forward ? *dst : kAbsent;
  d->diff_dst_desc = forward ? kAbsent : *dst;
  d->accum_data_type = mkldnn_f32;
}

void set_convolution(mkldnn_convolution_desc_t *d, mkldnn_alg_kind_t alg_kind, const int *strides,
                     const int *padding_l, const int *padding_r, mkldnn_padding_kind_t kind,
                     int ndims) {
  d->alg_kind = alg_kind;
  copy_dims(d->strides, strides, ndims);
  no_dilation(d->dilates);
  copy_dims(d->padding[0], padding_l, ndims);
  copy_dims(d->padding[1], padding_r, ndims);
  d->padding_kind = kind;
}

}  // namespace

extern "C" {

#define FAKE_CONVOLUTION(name, kind)                                                              \
  Status mkldnn_##name##_forward_desc_init(                                                       \
      mkldnn_convolution_desc_t *d, Prop prop_kind, Alg alg_kind, Md *src, Md *weights, Md *bias, \
      Md *dst, const mkldnn_dims_t strides, const mkldnn_dims_t padding_l,                        \
      const mkldnn_dims_t padding_r, Padding padding_kind) {                                      \
    FAKE_ENTER(name##_forward_desc_init, injected);                                               \
    set_layers(d, kind, prop_kind, src, weights, bias, dst);                                      \
    set_convolution(d, alg_kind, strides, padding_l, padding_r, padding_kind, src->ndims);        \
    return mkldnn_success;                                                                        \
  }                                                                                               \
  Status mkldnn_##name##_backward_data_desc_init(                                                 \
      mkldnn_convolution_desc_t *d, Alg alg_kind, Md *diff_src, Md *weights, Md *diff_dst,        \
      const mkldnn_dims_t strides, const mkldnn_dims_t padding_l, const mkldnn_dims_t padding_r,  \
      Padding padding_kind) {                                                                     \
    FAKE_ENTER(name##_backward_data_desc_init, injected);                                         \
    set_layers(d, kind, mkldnn_backward_data, diff_src, weights, nullptr, diff_dst);              \
    set_convolution(d, alg_kind, strides, padding_l, padding_r, padding_kind, diff_src->ndims);   \
    return mkldnn_success;                                                                        \
  }                                                                                               \
  Status mkldnn_##name##_backward_weights_desc_init(                                              \
      mkldnn_convolution_desc_t *d, Alg alg_kind, Md *src, Md *diff_weights, Md *diff_bias,       \
      Md *diff_dst, const mkldnn_dims_t strides, const mkldnn_dims_t padding_l,                   \
      const mkldnn_dims_t padding_r, Padding padding_kind) {                                      \
    FAKE_ENTER(name##_backward_weights_desc_init, injected);                                      \
    set_layers(d, kind, mkldnn_backward_weights, src, diff_weights, diff_bias, diff_dst);         \
    set_convolution(d, alg_kind, strides, padding_l, padding_r, padding_kind, src->ndims);        \
    return mkldnn_success;                                                                        \
  }
FAKE_CONVOLUTION(convolution, mkldnn_convolution)
FAKE_CONVOLUTION(deconvolution, mkldnn_deconvolution)

Status mkldnn_inner_product_forward_desc_init(mkldnn_inner_product_desc_t *d, Prop prop_kind,
                                              Md *src, Md *weights, Md *bias, Md *dst) {
  FAKE_ENTER(inner_product_forward_desc_init, injected);
  set_layers(d, mkldnn_inner_product, prop_kind, src, weights, bias, dst);
  return mkldnn_success;
}

Status mkldnn_inner_product_backward_data_desc_init(mkldnn_inner_product_desc_t *d, Md *diff_src,
                                                    Md *weights, Md *diff_dst) {
  FAKE_ENTER(inner_product_backward_data_desc_init, injected);
  set_layers(d, mkldnn_inner_product, mkldnn_backward_data, diff_src, weights, nullptr, diff_dst);
  return mkldnn_success;
}

Status mkldnn_inner_product_backward_weights_desc_init(mkldnn_inner_product_desc_t *d, Md *src,
                                                       Md *diff_weights, Md *diff_bias,
                                                       Md *diff_dst) {
  FAKE_ENTER(inner_product_backward_weights_desc_init, injected);
  set_layers(d, mkldnn_inner_product, mkldnn_backward_weights, src, diff_weights, diff_bias,
             diff_dst);
  return mkldnn_success;
}

Status mkldnn_pooling_forward_desc_init(mkldnn_pooling_desc_t *d, Prop prop_kind, Alg alg_kind,
                                        Md *src, Md *dst, const mkldnn_dims_t strides,
                                        const mkldnn_dims_t kernel, const mkldnn_dims_t padding_l,
                                        const mkldnn_dims_t padding_r, Padding padding_kind) {
  FAKE_ENTER(pooling_forward_desc_init, injected);
  const bool forward =
      prop_kind == mkldnn_forward_training || prop_kind == mkldnn_forward_inference;
  d->primitive_kind = mkldnn_pooling;
  d->prop_kind = prop_kind;
  d->alg_kind = alg_kind;
  d->src_desc = forward ? *src : kAbsent;
  d->diff_src_desc = forward ? kAbsent : *src;
  d->dst_desc = forward ? *dst : kAbsent;
  d->diff_dst_desc = forward ? kAbsent : *dst;
  copy_dims(d->strides, strides, src->ndims);
  copy_dims(d->kernel, kernel, src->ndims);
  copy_dims(d->padding[0], padding_l, src->ndims);
  copy_dims(d->padding[1], padding_r, src->ndims);
  d->padding_kind = padding_kind;
  d->accum_data_type = mkldnn_f32;
  return mkldnn_success;
}

Status mkldnn_pooling_backward_desc_init(mkldnn_pooling_desc_t *d, Alg alg_kind, Md *diff_src,
                                         Md *diff_dst, const mkldnn_dims_t strides,
                                         const mkldnn_dims_t kernel, const mkldnn_dims_t padding_l,
                                         const mkldnn_dims_t padding_r, Padding padding_kind) {
  return mkldnn_pooling_forward_desc_init(d, mkldnn_backward_data, alg_kind, diff_src, diff_dst,
                                          strides, kernel, padding_l, padding_r, padding_kind);
}

Status mkldnn_eltwise_forward_desc_init(mkldnn_eltwise_desc_t *d, Prop prop_kind, Alg alg_kind,
                                        Md *data, float alpha, float beta) {
  FAKE_ENTER(eltwise_forward_desc_init, injected);
  d->primitive_kind = mkldnn_eltwise;
  d->prop_kind = prop_kind;
  d->alg_kind = alg_kind;
  d->data_desc = *data;
  d->diff_data_desc = kAbsent;
  d->alpha = d->negative_slope = alpha;
  d->beta = beta;
  return mkldnn_success;
}

Status mkldnn_eltwise_backward_desc_init(mkldnn_eltwise_desc_t *d, Alg alg_kind, Md *diff_data,
                                         Md *data, float alpha, float beta) {
  FAKE_ENTER(eltwise_backward_desc_init, injected);
  d->primitive_kind = mkldnn_eltwise;
  d->prop_kind = mkldnn_backward_data;
  d->alg_kind = alg_kind;
  d->data_desc = *data;
  d->diff_data_desc = *diff_data;
  d->alpha = d->negative_slope = alpha;
  d->beta = beta;
  return mkldnn_success;
}

Status mkldnn_softmax_forward_desc_init(mkldnn_softmax_desc_t *d, Prop prop_kind, Md *data,
                                        int axis) {
  FAKE_ENTER(softmax_forward_desc_init, injected);
  d->primitive_kind = mkldnn_softmax;
  d->prop_kind = prop_kind;
  d->data_desc = *data;
  d->diff_desc = kAbsent;
  d->softmax_axis = axis;
  return mkldnn_success;
}

Status mkldnn_lrn_forward_desc_init(mkldnn_lrn_desc_t *d, Prop prop_kind, Alg alg_kind, Md *data,
                                    int local_size, float alpha, float beta, float k) {
  FAKE_ENTER(lrn_forward_desc_init, injected);
  d->primitive_kind = mkldnn_lrn;
  d->prop_kind = prop_kind;
  d->alg_kind = alg_kind;
  d->data_desc = *data;
  d->diff_data_desc = kAbsent;
  d->local_size = local_size;
  d->lrn_alpha = alpha;
  d->lrn_beta = beta;
  d->lrn_k = k;
  return mkldnn_success;
}

Status mkldnn_lrn_backward_desc_init(mkldnn_lrn_desc_t *d, Alg alg_kind, Md *diff_data, Md *data,
                                     int local_size, float alpha, float beta, float k) {
  const mkldnn_status_t status = mkldnn_lrn_forward_desc_init(d, mkldnn_backward_data, alg_kind,
                                                              data, local_size, alpha, beta, k);
  if (status == mkldnn_success) d->diff_data_desc = *diff_data;
  return status;
}

Status mkldnn_batch_normalization_forward_desc_init(mkldnn_batch_normalization_desc_t *d,
                                                    Prop prop_kind, Md *data, float epsilon,
                                                    unsigned flags) {
  FAKE_ENTER(batch_normalization_forward_desc_init, injected);
  const int channels[] = {data->dims[1]};
  const int scale_shift[] = {2, data->dims[1]};
  d->primitive_kind = mkldnn_batch_normalization;
  d->prop_kind = prop_kind;
  d->data_desc = *data;
  d->diff_data_desc = d->diff_data_scaleshift_desc = kAbsent;
  init_memory(&d->data_scaleshift_desc, 2, scale_shift, mkldnn_f32, mkldnn_nc);
  init_memory(&d->mean_desc, 1, channels, mkldnn_f32, mkldnn_x);
  init_memory(&d->variance_desc, 1, channels, mkldnn_f32, mkldnn_x);
  d->batch_norm_epsilon = epsilon;
  d->flags = flags;
  return mkldnn_success;
}

Status mkldnn_batch_normalization_backward_desc_init(mkldnn_batch_normalization_desc_t *d,
                                                     Prop prop_kind, Md *diff_data, Md *data,
                                                     float epsilon, unsigned flags) {
  const mkldnn_status_t status =
      mkldnn_batch_normalization_forward_desc_init(d, prop_kind, data, epsilon, flags);
  if (status != mkldnn_success) return status;
  d->diff_data_desc = *diff_data;
  d->diff_data_scaleshift_desc = d->data_scaleshift_desc;
  return mkldnn_success;
}

Status mkldnn_shuffle_forward_desc_init(mkldnn_shuffle_desc_t *d, Prop prop_kind, Md *data,
                                        int axis, int group_size) {
  FAKE_ENTER(shuffle_forward_desc_init, injected);
  d->primitive_kind = mkldnn_shuffle;
  d->prop_kind = prop_kind;
  d->data_desc = *data;
  d->axis = axis;
  d->group_size = group_size;
  return mkldnn_success;
}

}  // extern "C"
