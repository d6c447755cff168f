// The fields of memory descriptors and operation descriptors; fields.cc has the others and says how
// they are used.
#ifndef OPCACHE_API0_DESC_FIELDS_H_
#define OPCACHE_API0_DESC_FIELDS_H_

#include <mkldnn_types.h>
#include <string.h>

#include "api0/abi.h"

namespace opcache {

const int kMaxDims = TENSOR_MAX_DIMS;

template <class V>
void visit_memory(V &v, const Abi &abi, const char *name, const mkldnn_memory_desc_t &md) {
  v.section(name);
  if (md.ndims < 0 || md.ndims > kMaxDims) return v.unknown();
  v.number("ndims", md.ndims);
  // No dimensions is how MKL-DNN says "absent"; what else stands there means nothing.
  if (md.ndims == 0) return;
  v.numbers("dims", md.dims, md.ndims);
  v.number("data_type", md.data_type);
  v.number("format", md.format);
  const int format = md.format;
  if (format < 0 || format >= abi.format_last) return v.unknown();
  if (format == abi.packed_formats[0] || format == abi.packed_formats[1]) return v.unknown();
  if (format == mkldnn_format_undef || format == mkldnn_any) return;
  if (format == abi.wino_format) {
    int head[12];
    memcpy(head, &md.layout_desc, sizeof(int) * abi.wino_words);
    v.numbers("wino", head, abi.wino_words);
    uint64_t size;
    memcpy(&size, reinterpret_cast<const char *>(&md.layout_desc) + sizeof(int) * abi.wino_words,
           sizeof(size));
    v.value("wino_size", size);
    return;
  }
  // Strides and offsets too: a view has its parent's format and differs only here.
  const mkldnn_blocking_desc_t &b = md.layout_desc.blocking;
  v.numbers("block_dims", b.block_dims, md.ndims);
  v.strides("strides", b.strides[0], md.ndims);
  v.strides("block_strides", b.strides[1], md.ndims);
  v.numbers("padding_dims", b.padding_dims, md.ndims);
  v.numbers("offset_padding_to_data", b.offset_padding_to_data, md.ndims);
  v.value("offset_padding", static_cast<uint64_t>(b.offset_padding));
}

// The spatial parameters of a convolution or pooling: as many as the tensor has spatial dimensions.
inline int spatial_dims(const mkldnn_memory_desc_t &a, const mkldnn_memory_desc_t &b) {
  const int ndims = a.ndims > b.ndims ? a.ndims : b.ndims;
  const int spatial = ndims - 2;
  return spatial < 0 ? 0 : (spatial > kMaxDims ? kMaxDims : spatial);
}

// Convolutions and inner products.
template <class V, class D>
void visit_weighted(V &v, const Abi &abi, const D &d) {
  visit_memory(v, abi, "src", d.src_desc);
  visit_memory(v, abi, "diff_src", d.diff_src_desc);
  visit_memory(v, abi, "weights", d.weights_desc);
  visit_memory(v, abi, "diff_weights", d.diff_weights_desc);
  visit_memory(v, abi, "bias", d.bias_desc);
  visit_memory(v, abi, "diff_bias", d.diff_bias_desc);
  visit_memory(v, abi, "dst", d.dst_desc);
  visit_memory(v, abi, "diff_dst", d.diff_dst_desc);
}

template <class V>
void visit_desc(V &v, const Abi &abi, const mkldnn_convolution_desc_t &d) {
  v.number("alg_kind", d.alg_kind);
  visit_weighted(v, abi, d);
  const int n = spatial_dims(d.src_desc, d.diff_src_desc);
  v.section("convolution");
  v.numbers("strides", d.strides, n);
  v.numbers("dilates", d.dilates, n);
  v.numbers("padding_l", d.padding[0], n);
  v.numbers("padding_r", d.padding[1], n);
  v.number("padding_kind", d.padding_kind);
  v.number("accum_data_type", d.accum_data_type);
}

template <class V>
void visit_desc(V &v, const Abi &abi, const mkldnn_pooling_desc_t &d) {
  v.number("alg_kind", d.alg_kind);
  visit_memory(v, abi, "src", d.src_desc);
  visit_memory(v, abi, "diff_src", d.diff_src_desc);
  visit_memory(v, abi, "dst", d.dst_desc);
  visit_memory(v, abi, "diff_dst", d.diff_dst_desc);
  const int n = spatial_dims(d.src_desc, d.diff_src_desc);
  v.section("pooling");
  v.numbers("strides", d.strides, n);
  v.numbers("kernel", d.kernel, n);
  v.numbers("padding_l", d.padding[0], n);
  v.numbers("padding_r", d.padding[1], n);
  v.number("padding_kind", d.padding_kind);
  v.number("accum_data_type", d.accum_data_type);
}

template <class V>
void visit_desc(V &v, const Abi &abi, const mkldnn_eltwise_desc_t &d) {
  v.number("alg_kind", d.alg_kind);
  visit_memory(v, abi, "data", d.data_desc);
  visit_memory(v, abi, "diff_data", d.diff_data_desc);
  v.section("eltwise");
  v.real("alpha", d.alpha);
  v.real("beta", d.beta);
  if (abi.eltwise_has_slope) {
    float slope;  // v0.19's headers do not name it
    memcpy(&slope, &d.beta + 1, sizeof(slope));
    v.real("negative_slope", slope);
  }
}

template <class V>
void visit_desc(V &v, const Abi &abi, const mkldnn_lrn_desc_t &d) {
  v.number("alg_kind", d.alg_kind);
  visit_memory(v, abi, "data", d.data_desc);
  visit_memory(v, abi, "diff_data", d.diff_data_desc);
  v.section("lrn");
  v.number("local_size", d.local_size);
  v.real("alpha", d.lrn_alpha);
  v.real("beta", d.lrn_beta);
  v.real("k", d.lrn_k);
}

template <class V>
void visit_desc(V &v, const Abi &abi, const mkldnn_batch_normalization_desc_t &d) {
  visit_memory(v, abi, "data", d.data_desc);
  visit_memory(v, abi, "diff_data", d.diff_data_desc);
  visit_memory(v, abi, "data_scaleshift", d.data_scaleshift_desc);
  visit_memory(v, abi, "diff_data_scaleshift", d.diff_data_scaleshift_desc);
  visit_memory(v, abi, "mean", d.mean_desc);
  visit_memory(v, abi, "variance", d.variance_desc);
  v.section("batch_norm");
  v.real("epsilon", d.batch_norm_epsilon);
  v.value("flags", d.flags);
}

template <class V>
void visit_desc(V &v, const Abi &abi, const mkldnn_inner_product_desc_t &d) {
  visit_weighted(v, abi, d);
  v.section("inner_product");
  v.number("accum_data_type", d.accum_data_type);
}

template <class V>
void visit_desc(V &v, const Abi &abi, const mkldnn_softmax_desc_t &d) {
  const mkldnn_memory_desc_t *last = &d.data_desc;
  visit_memory(v, abi, "data", *last);
  // v0.14's headers do not name diff_desc.
  if (abi.softmax_has_diff) visit_memory(v, abi, "diff", *++last);
  int axis;
  memcpy(&axis, last + 1, sizeof(axis));
  v.section("softmax");
  v.number("axis", axis);
}

template <class V>
void visit_op_desc(V &v, const Abi &abi, const void *op_desc) {
  const OpDescHead *head = static_cast<const OpDescHead *>(op_desc);
  v.section("op");
  v.number("primitive_kind", head->primitive_kind);
  v.number("prop_kind", head->prop_kind);
  switch (kind_of(abi, head->primitive_kind)) {
    case Kind::kConvolution:
    case Kind::kDeconvolution:
      return visit_desc(v, abi, *static_cast<const mkldnn_convolution_desc_t *>(op_desc));
    case Kind::kEltwise:
      return visit_desc(v, abi, *static_cast<const mkldnn_eltwise_desc_t *>(op_desc));
    case Kind::kSoftmax:
      return visit_desc(v, abi, *static_cast<const mkldnn_softmax_desc_t *>(op_desc));
    case Kind::kPooling:
      return visit_desc(v, abi, *static_cast<const mkldnn_pooling_desc_t *>(op_desc));
    case Kind::kLrn:
      return visit_desc(v, abi, *static_cast<const mkldnn_lrn_desc_t *>(op_desc));
    case Kind::kBatchNorm:
      return visit_desc(v, abi, *static_cast<const mkldnn_batch_normalization_desc_t *>(op_desc));
    case Kind::kInnerProduct:
      return visit_desc(v, abi, *static_cast<const mkldnn_inner_product_desc_t *>(op_desc));
    default:
      return v.unknown();
  }
}

}  // namespace opcache

#endif  // OPCACHE_API0_DESC_FIELDS_H_
