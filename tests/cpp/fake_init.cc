// Layouts of the fake MKL-DNN, and its exported functions that fill the operations' descriptions.
// What a description does not use stays garbage, as the caller left it.
#include <stdlib.h>
#include <string.h>

#include "fake_call.h"

namespace fake {

#ifndef API1
bool has_padding(const mkldnn_memory_desc_t &md) {
  const int *padded = md.layout_desc.blocking.padding_dims;
  return memcmp(md.dims, padded, sizeof(int) * static_cast<size_t>(md.ndims)) != 0;
}
#endif

mkldnn_status_t init_memory(mkldnn_memory_desc_t *result, int ndims, const Dim *dims,
                            mkldnn_data_type_t data_type, Format format) {
  if (result == nullptr) return mkldnn_invalid_arguments;
  mkldnn_memory_desc_t md;
  // The real one leaves what it does not set as it was on the stack; so here it is never twice the
  // same.
  static unsigned garbage = 1;
  unsigned char *bytes = reinterpret_cast<unsigned char *>(&md);
  for (size_t i = 0; i < sizeof(md); ++i) bytes[i] = static_cast<unsigned char>(rand_r(&garbage));
  if (ndims == 0 || static_cast<int>(format) == 0) {
    memset(result, 0, sizeof(*result));
    return mkldnn_success;
  }
  if (ndims < 0 || ndims > kMaxDims || dims == nullptr) return mkldnn_invalid_arguments;
  // Every format is dense in the order of its dimensions here, but for the blocks of channels.
  const int block = format == mkldnn_nChw8c ? 8 : format == mkldnn_nChw16c ? 16 : 1;
  md.ndims = ndims;
  memcpy(md.dims, dims, sizeof(Dim) * static_cast<size_t>(ndims));
  md.data_type = data_type;
#ifdef API1
  memcpy(md.padded_dims, md.dims, sizeof(md.dims));
  memset(md.padded_offsets, 0, sizeof(md.padded_offsets));
  md.offset0 = 0;
  md.extra.flags = 0;
  md.format_kind = format == mkldnn_format_tag_any ? mkldnn_format_kind_any : mkldnn_blocked;
  mkldnn_blocking_desc_t &b = md.format_desc.blocking;
  if (block > 1) md.padded_dims[1] = (dims[1] + block - 1) / block * block;
  b.inner_nblks = block > 1;
  b.inner_blks[0] = block;
  b.inner_idxs[0] = 1;
  Dim stride = block;
  for (int i = ndims - 1; i >= 0; --i) {
    b.strides[i] = stride;
    stride *= md.padded_dims[i] / (i == 1 ? block : 1);
  }
  // Another order, too, is another layout.
  if (format == mkldnn_nhwc) std::swap(b.strides[1], b.strides[3]);
#else
  md.primitive_kind = mkldnn_memory;
  md.format = format;
  if (format != mkldnn_any) {
    mkldnn_blocking_desc_t &b = md.layout_desc.blocking;
    ptrdiff_t stride = block;
    for (int i = ndims - 1; i >= 0; --i) {
      const int unit = i == 1 ? block : 1;
      b.block_dims[i] = unit;
      b.padding_dims[i] = (dims[i] + unit - 1) / unit * unit;
      b.strides[0][i] = stride;
      b.strides[1][i] = 1;
      b.offset_padding_to_data[i] = 0;
      stride *= b.padding_dims[i] / unit;
    }
    b.offset_padding = 0;
  }
#endif
  *result = md;
  return mkldnn_success;
}

}  // namespace fake

using namespace fake;

namespace {

const mkldnn_memory_desc_t kAbsent = {};

template <class D>
void set_head(D *d, mkldnn_primitive_kind_t kind, Prop prop_kind) {
  d->primitive_kind = kind;
  d->prop_kind = prop_kind;
}

// The memories of a convolution or inner product; nullptr: absent.
template <class D>
void set_layers(D *d, mkldnn_primitive_kind_t kind, Prop prop_kind, Md *src, Md *weights, Md *bias,
                Md *dst) {
  const bool backward_data = prop_kind == mkldnn_backward_data;
  const bool backward_weights = prop_kind == mkldnn_backward_weights;
  const bool forward = !backward_data && !backward_weights;
  const mkldnn_memory_desc_t &b = bias != nullptr ? *bias : kAbsent;
  set_head(d, kind, prop_kind);
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

void copy_dims(Dim *to, const Dim *from, Md *md) {
  memcpy(to, from, sizeof(Dim) * static_cast<size_t>(md->ndims > 2 ? md->ndims - 2 : 0));
}

template <class D>
void set_window(D *d, Md *src, Alg alg_kind, const Dim *strides, const Dim *padding_l,
                const Dim *padding_r) {
  d->alg_kind = alg_kind;
  copy_dims(d->strides, strides, src);
  copy_dims(d->padding[0], padding_l, src);
  copy_dims(d->padding[1], padding_r, src);
#ifndef API1
  d->padding_kind = mkldnn_padding_zero;
#endif
}

// One tensor, and where there is one, its gradient.
template <class D>
void set_data(D *d, mkldnn_primitive_kind_t kind, Prop prop_kind, Md *data, Md *diff_data) {
  set_head(d, kind, prop_kind);
  d->data_desc = *data;
  d->diff_data_desc = diff_data != nullptr ? *diff_data : kAbsent;
}

void set_eltwise(mkldnn_eltwise_desc_t *d, Prop prop_kind, Alg alg_kind, Md *data, Md *diff_data,
                 float alpha, float beta) {
  set_data(d, mkldnn_eltwise, prop_kind, data, diff_data);
  d->alg_kind = alg_kind;
#ifndef API1
  d->negative_slope = alpha;
#endif
  d->alpha = alpha;
  d->beta = beta;
}

void set_pooling(mkldnn_pooling_desc_t *d, Prop prop_kind, Md *src, Md *dst, const Dim *kernel) {
  const bool forward = prop_kind != mkldnn_backward_data;
  set_head(d, mkldnn_pooling, prop_kind);
  d->src_desc = forward ? *src : kAbsent;
  d->diff_src_desc = forward ? kAbsent : *src;
  d->dst_desc = forward ? *dst : kAbsent;
  d->diff_dst_desc = forward ? kAbsent : *dst;
  copy_dims(d->kernel, kernel, src);
  d->accum_data_type = mkldnn_f32;
}

void set_lrn(mkldnn_lrn_desc_t *d, Prop prop_kind, Alg alg_kind, Md *data, Md *diff_data,
             Dim local_size, float alpha, float beta, float k) {
  set_data(d, mkldnn_lrn, prop_kind, data, diff_data);
  d->alg_kind = alg_kind;
  d->local_size = local_size;
  d->lrn_alpha = alpha;
  d->lrn_beta = beta;
  d->lrn_k = k;
}

void set_batch_norm(mkldnn_batch_normalization_desc_t *d, Prop prop_kind, Md *data, Md *diff_data,
                    float epsilon, unsigned flags) {
  const Dim channels[] = {data->dims[1]};
  const Dim scale_shift[] = {2, data->dims[1]};
  set_data(d, mkldnn_batch_normalization, prop_kind, data, diff_data);
  init_memory(&d->data_scaleshift_desc, 2, scale_shift, mkldnn_f32, mkldnn_nc);
  d->diff_data_scaleshift_desc = diff_data != nullptr ? d->data_scaleshift_desc : kAbsent;
#ifdef API1
  init_memory(&d->stat_desc, 1, channels, mkldnn_f32, mkldnn_x);
#else
  init_memory(&d->mean_desc, 1, channels, mkldnn_f32, mkldnn_x);
  init_memory(&d->variance_desc, 1, channels, mkldnn_f32, mkldnn_x);
#endif
  d->batch_norm_epsilon = epsilon;
  d->flags = flags;
}

}  // namespace

extern "C" {

#ifdef API1
#define PADDED const mkldnn_dims_t padding_l, const mkldnn_dims_t padding_r
#else
#define PADDED const mkldnn_dims_t padding_l, const mkldnn_dims_t padding_r, mkldnn_padding_kind_t
#endif
#define SET_CONVOLUTION(kind, prop_kind, bias)                 \
  set_layers(d, kind, prop_kind, src, weights, bias, dst);     \
  set_window(d, src, alg_kind, strides, padding_l, padding_r); \
  memset(d->dilates, 0, sizeof(d->dilates))
#define FAKE_CONVOLUTION(name, kind)                                                             \
  FAKE_FUNCTION(name##_forward_desc_init,                                                        \
                (mkldnn_convolution_desc_t * d, Prop prop_kind, Alg alg_kind, Md * src,          \
                 Md * weights, Md * bias, Md * dst, const mkldnn_dims_t strides, PADDED),        \
                SET_CONVOLUTION(kind, prop_kind, bias))                                          \
  FAKE_FUNCTION(name##_backward_data_desc_init,                                                  \
                (mkldnn_convolution_desc_t * d, Alg alg_kind, Md * src, Md * weights, Md * dst,  \
                 const mkldnn_dims_t strides, PADDED),                                           \
                SET_CONVOLUTION(kind, mkldnn_backward_data, nullptr))                            \
  FAKE_FUNCTION(name##_backward_weights_desc_init,                                               \
                (mkldnn_convolution_desc_t * d, Alg alg_kind, Md * src, Md * weights, Md * bias, \
                 Md * dst, const mkldnn_dims_t strides, PADDED),                                 \
                SET_CONVOLUTION(kind, mkldnn_backward_weights, bias))
FAKE_CONVOLUTION(convolution, mkldnn_convolution)
FAKE_CONVOLUTION(deconvolution, mkldnn_deconvolution)

FAKE_FUNCTION(inner_product_forward_desc_init,
              (mkldnn_inner_product_desc_t * d, Prop prop_kind, Md *src, Md *weights, Md *bias,
               Md *dst),
              set_layers(d, mkldnn_inner_product, prop_kind, src, weights, bias, dst))
FAKE_FUNCTION(inner_product_backward_data_desc_init,
              (mkldnn_inner_product_desc_t * d, Md *src, Md *weights, Md *dst),
              set_layers(d, mkldnn_inner_product, mkldnn_backward_data, src, weights, nullptr, dst))
FAKE_FUNCTION(inner_product_backward_weights_desc_init,
              (mkldnn_inner_product_desc_t * d, Md *src, Md *weights, Md *bias, Md *dst),
              set_layers(d, mkldnn_inner_product, mkldnn_backward_weights, src, weights, bias, dst))

FAKE_FUNCTION(pooling_forward_desc_init,
              (mkldnn_pooling_desc_t * d, Prop prop_kind, Alg alg_kind, Md *src, Md *dst,
               const mkldnn_dims_t strides, const mkldnn_dims_t kernel, PADDED),
              set_pooling(d, prop_kind, src, dst, kernel);
              set_window(d, src, alg_kind, strides, padding_l, padding_r))
FAKE_FUNCTION(pooling_backward_desc_init,
              (mkldnn_pooling_desc_t * d, Alg alg_kind, Md *src, Md *dst,
               const mkldnn_dims_t strides, const mkldnn_dims_t kernel, PADDED),
              set_pooling(d, mkldnn_backward_data, src, dst, kernel);
              set_window(d, src, alg_kind, strides, padding_l, padding_r))

FAKE_FUNCTION(eltwise_forward_desc_init,
              (mkldnn_eltwise_desc_t * d, Prop prop_kind, Alg alg_kind, Md *data, float alpha,
               float beta),
              set_eltwise(d, prop_kind, alg_kind, data, nullptr, alpha, beta))
FAKE_FUNCTION(eltwise_backward_desc_init,
              (mkldnn_eltwise_desc_t * d, Alg alg_kind, Md *diff_data, Md *data, float alpha,
               float beta),
              set_eltwise(d, mkldnn_backward_data, alg_kind, data, diff_data, alpha, beta))

FAKE_FUNCTION(softmax_forward_desc_init,
              (mkldnn_softmax_desc_t * d, Prop prop_kind, Md *data, int axis),
              set_head(d, mkldnn_softmax, prop_kind);
              d->data_desc = *data; d->diff_desc = kAbsent; d->softmax_axis = axis)
#ifdef API1
FAKE_FUNCTION(softmax_backward_desc_init, (mkldnn_softmax_desc_t * d, Md *diff, Md *data, int axis),
              set_head(d, mkldnn_softmax, mkldnn_backward_data);
              d->data_desc = *data; d->diff_desc = *diff; d->softmax_axis = axis)
#endif

FAKE_FUNCTION(lrn_forward_desc_init,
              (mkldnn_lrn_desc_t * d, Prop prop_kind, Alg alg_kind, Md *data, Dim local_size,
               float alpha, float beta, float k),
              set_lrn(d, prop_kind, alg_kind, data, nullptr, local_size, alpha, beta, k))
FAKE_FUNCTION(lrn_backward_desc_init,
              (mkldnn_lrn_desc_t * d, Alg alg_kind, Md *diff_data, Md *data, Dim local_size,
               float alpha, float beta, float k),
              set_lrn(d, mkldnn_backward_data, alg_kind, data, diff_data, local_size, alpha, beta,
                      k))

FAKE_FUNCTION(batch_normalization_forward_desc_init,
              (mkldnn_batch_normalization_desc_t * d, Prop prop_kind, Md *data, float epsilon,
               unsigned flags),
              set_batch_norm(d, prop_kind, data, nullptr, epsilon, flags))
FAKE_FUNCTION(batch_normalization_backward_desc_init,
              (mkldnn_batch_normalization_desc_t * d, Prop prop_kind, Md *diff_data, Md *data,
               float epsilon, unsigned flags),
              set_batch_norm(d, prop_kind, data, diff_data, epsilon, flags))

FAKE_FUNCTION(shuffle_forward_desc_init,
              (mkldnn_shuffle_desc_t * d, Prop prop_kind, Md *data, int axis, Dim group_size),
              set_head(d, mkldnn_shuffle, prop_kind);
              d->data_desc = *data; d->axis = axis; d->group_size = group_size)

}  // extern "C"
