#include "api0/key.h"

#include <stdio.h>

namespace opcache {

namespace {

// 64 x 64 -> 128 bit multiply and fold, the mixing step of wyhash.
inline uint64_t mix(uint64_t a, uint64_t b) {
  const unsigned __int128 product = static_cast<unsigned __int128>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

const int kMaxDims = TENSOR_MAX_DIMS;

template <class V>
bool visit_memory(V &v, const Abi &abi, const char *name, const mkldnn_memory_desc_t &md) {
  v.section(name);
  if (md.ndims < 0 || md.ndims > kMaxDims) return false;
  v.number("ndims", md.ndims);
  // No dimensions is how MKL-DNN says "absent"; what else stands there means nothing.
  if (md.ndims == 0) return true;
  v.numbers("dims", md.dims, md.ndims);
  v.number("data_type", md.data_type);
  v.number("format", md.format);
  const int format = md.format;
  if (format < 0 || format >= abi.format_last) return false;
  if (format == abi.packed_formats[0] || format == abi.packed_formats[1]) return false;
  if (format == mkldnn_format_undef || format == mkldnn_any) return true;
  if (format == abi.wino_format) {
    int head[12];
    memcpy(head, &md.layout_desc, sizeof(int) * abi.wino_words);
    v.numbers("wino", head, abi.wino_words);
    uint64_t size;
    memcpy(&size, reinterpret_cast<const char *>(&md.layout_desc) + sizeof(int) * abi.wino_words,
           sizeof(size));
    v.value("wino_size", size);
    return true;
  }
  // Strides and offsets too: a view keeps its parent's format and differs only here.
  const mkldnn_blocking_desc_t &b = md.layout_desc.blocking;
  v.numbers("block_dims", b.block_dims, md.ndims);
  v.strides("strides", b.strides[0], md.ndims);
  v.strides("block_strides", b.strides[1], md.ndims);
  v.numbers("padding_dims", b.padding_dims, md.ndims);
  v.numbers("offset_padding_to_data", b.offset_padding_to_data, md.ndims);
  v.value("offset_padding", static_cast<uint64_t>(b.offset_padding));
  return true;
}

template <class V>
bool visit_memory_pd(V &v, const Real &real, const char *name, const_mkldnn_primitive_desc_t pd,
                     SerialOf serials) {
  v.section(name);
  if (pd == nullptr) {
    v.text("absent", "");
    return true;
  }
  const uint64_t serial = serials != nullptr ? serials(pd) : 0;
  v.value("serial", serial);
  if (serial != 0) return true;
  const mkldnn_memory_desc_t *md = real.primitive_desc_query_memory_d(pd);
  return md != nullptr && visit_memory(v, *real.abi, "layout", *md);
}

// Rounding, output scales and post-ops: all that v0.14 to v0.19 keep in an attribute for the kinds
// we cache, but for what hides_attributes() is about.
template <class V>
bool visit_attr(V &v, const Real &real, const_mkldnn_primitive_attr_t attr) {
  v.section("attr");
  if (attr == nullptr) {
    v.number("given", 0);
    return true;
  }
  mkldnn_round_mode_t round_mode;
  int count = 0, mask = 0;
  const float *scales = nullptr;
  const_mkldnn_post_ops_t post_ops = nullptr;
  if (real.primitive_attr_get_int_output_round_mode(attr, &round_mode) != mkldnn_success ||
      real.primitive_attr_get_output_scales(attr, &count, &mask, &scales) != mkldnn_success ||
      real.primitive_attr_get_post_ops(attr, &post_ops) != mkldnn_success) {
    return false;
  }
  v.number("given", 1);
  v.number("round_mode", round_mode);
  v.number("scales_mask", mask);
  v.number("scales_count", count);
  for (int i = 0; i < count; ++i) v.real("scale", scales[i]);
  const int length = real.post_ops_len(post_ops);
  v.number("post_ops", length);
  for (int i = 0; i < length; ++i) {
    const int kind = real.post_ops_get_kind(post_ops, i);
    v.number("post_op", kind);
    float scale = 0, alpha = 0, beta = 0;
    mkldnn_alg_kind_t alg = mkldnn_alg_kind_undef;
    switch (kind_of(*real.abi, kind)) {
      case Kind::kSum:
        if (real.post_ops_get_params_sum(post_ops, i, &scale) != mkldnn_success) return false;
        break;
      case Kind::kEltwise:
        if (real.post_ops_get_params_eltwise(post_ops, i, &scale, &alg, &alpha, &beta) !=
            mkldnn_success) {
          return false;
        }
        break;
      default:
        return false;
    }
    v.real("post_op_scale", scale);
    v.number("post_op_alg", alg);
    v.real("post_op_alpha", alpha);
    v.real("post_op_beta", beta);
  }
  return true;
}

// The spatial parameters of a convolution or pooling: as many as the tensor has spatial dimensions.
int spatial_dims(const mkldnn_memory_desc_t &a, const mkldnn_memory_desc_t &b) {
  const int ndims = a.ndims > b.ndims ? a.ndims : b.ndims;
  const int spatial = ndims - 2;
  return spatial < 0 ? 0 : (spatial > kMaxDims ? kMaxDims : spatial);
}

template <class V>
bool visit_desc(V &v, const Abi &abi, const mkldnn_convolution_desc_t &d) {
  v.number("alg_kind", d.alg_kind);
  if (!visit_memory(v, abi, "src", d.src_desc) ||
      !visit_memory(v, abi, "diff_src", d.diff_src_desc) ||
      !visit_memory(v, abi, "weights", d.weights_desc) ||
      !visit_memory(v, abi, "diff_weights", d.diff_weights_desc) ||
      !visit_memory(v, abi, "bias", d.bias_desc) ||
      !visit_memory(v, abi, "diff_bias", d.diff_bias_desc) ||
      !visit_memory(v, abi, "dst", d.dst_desc) ||
      !visit_memory(v, abi, "diff_dst", d.diff_dst_desc)) {
    return false;
  }
  const int n = spatial_dims(d.src_desc, d.diff_src_desc);
  v.section("convolution");
  v.numbers("strides", d.strides, n);
  v.numbers("dilates", d.dilates, n);
  v.numbers("padding_l", d.padding[0], n);
  v.numbers("padding_r", d.padding[1], n);
  v.number("padding_kind", d.padding_kind);
  v.number("accum_data_type", d.accum_data_type);
  return true;
}

template <class V>
bool visit_desc(V &v, const Abi &abi, const mkldnn_pooling_desc_t &d) {
  v.number("alg_kind", d.alg_kind);
  if (!visit_memory(v, abi, "src", d.src_desc) ||
      !visit_memory(v, abi, "diff_src", d.diff_src_desc) ||
      !visit_memory(v, abi, "dst", d.dst_desc) ||
      !visit_memory(v, abi, "diff_dst", d.diff_dst_desc)) {
    return false;
  }
  const int n = spatial_dims(d.src_desc, d.diff_src_desc);
  v.section("pooling");
  v.numbers("strides", d.strides, n);
  v.numbers("kernel", d.kernel, n);
  v.numbers("padding_l", d.padding[0], n);
  v.numbers("padding_r", d.padding[1], n);
  v.number("padding_kind", d.padding_kind);
  v.number("accum_data_type", d.accum_data_type);
  return true;
}

template <class V>
bool visit_desc(V &v, const Abi &abi, const mkldnn_eltwise_desc_t &d) {
  v.number("alg_kind", d.alg_kind);
  if (!visit_memory(v, abi, "data", d.data_desc) ||
      !visit_memory(v, abi, "diff_data", d.diff_data_desc)) {
    return false;
  }
  v.section("eltwise");
  v.real("alpha", d.alpha);
  v.real("beta", d.beta);
  if (abi.eltwise_has_slope) {
    float slope;  // v0.19's headers do not name it
    memcpy(&slope, &d.beta + 1, sizeof(slope));
    v.real("negative_slope", slope);
  }
  return true;
}

template <class V>
bool visit_desc(V &v, const Abi &abi, const mkldnn_lrn_desc_t &d) {
  v.number("alg_kind", d.alg_kind);
  if (!visit_memory(v, abi, "data", d.data_desc) ||
      !visit_memory(v, abi, "diff_data", d.diff_data_desc)) {
    return false;
  }
  v.section("lrn");
  v.number("local_size", d.local_size);
  v.real("alpha", d.lrn_alpha);
  v.real("beta", d.lrn_beta);
  v.real("k", d.lrn_k);
  return true;
}

template <class V>
bool visit_desc(V &v, const Abi &abi, const mkldnn_batch_normalization_desc_t &d) {
  if (!visit_memory(v, abi, "data", d.data_desc) ||
      !visit_memory(v, abi, "diff_data", d.diff_data_desc) ||
      !visit_memory(v, abi, "data_scaleshift", d.data_scaleshift_desc) ||
      !visit_memory(v, abi, "diff_data_scaleshift", d.diff_data_scaleshift_desc) ||
      !visit_memory(v, abi, "mean", d.mean_desc) ||
      !visit_memory(v, abi, "variance", d.variance_desc)) {
    return false;
  }
  v.section("batch_norm");
  v.real("epsilon", d.batch_norm_epsilon);
  v.value("flags", d.flags);
  return true;
}

template <class V>
bool visit_desc(V &v, const Abi &abi, const mkldnn_inner_product_desc_t &d) {
  if (!visit_memory(v, abi, "src", d.src_desc) ||
      !visit_memory(v, abi, "diff_src", d.diff_src_desc) ||
      !visit_memory(v, abi, "weights", d.weights_desc) ||
      !visit_memory(v, abi, "diff_weights", d.diff_weights_desc) ||
      !visit_memory(v, abi, "bias", d.bias_desc) ||
      !visit_memory(v, abi, "diff_bias", d.diff_bias_desc) ||
      !visit_memory(v, abi, "dst", d.dst_desc) ||
      !visit_memory(v, abi, "diff_dst", d.diff_dst_desc)) {
    return false;
  }
  v.section("inner_product");
  v.number("accum_data_type", d.accum_data_type);
  return true;
}

template <class V>
bool visit_desc(V &v, const Abi &abi, const mkldnn_softmax_desc_t &d) {
  const mkldnn_memory_desc_t *last = &d.data_desc;
  if (!visit_memory(v, abi, "data", *last)) return false;
  // v0.14's headers do not name diff_desc.
  if (abi.softmax_has_diff && !visit_memory(v, abi, "diff", *++last)) return false;
  int axis;
  memcpy(&axis, last + 1, sizeof(axis));
  v.section("softmax");
  v.number("axis", axis);
  return true;
}

template <class V>
bool visit_op_desc(V &v, const Abi &abi, const void *op_desc) {
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
      return false;
  }
}

template <class V>
bool visit_surroundings(V &v, const Surroundings &around) {
  v.section("around");
  v.value("engine", reinterpret_cast<uintptr_t>(around.engine));
  v.number("max_threads", around.max_threads);
  return around.engine != nullptr;  // nullptr: could not be asked for
}

// All that a backward implementation can read of its forward hint: its engine, the description it
// was made from, the implementation chosen, and the layouts that implementation settled on.
template <class V>
bool visit_hint(V &v, const Real &real, const_mkldnn_primitive_desc_t hint) {
  mkldnn_primitive_kind_t primitive_kind;
  if (real.primitive_desc_query(hint, mkldnn_query_primitive_kind, 0, &primitive_kind) !=
      mkldnn_success) {
    return false;
  }
  const int query = op_desc_query(*real.abi, kind_of(*real.abi, primitive_kind));
  const void *op_desc = nullptr;
  const char *implementation = nullptr;
  const_mkldnn_primitive_attr_t attr = nullptr;
  mkldnn_engine_t engine = nullptr;
  if (query < 0 ||
      real.primitive_desc_query(hint, mkldnn_query_engine, 0, &engine) != mkldnn_success ||
      real.primitive_desc_query(hint, static_cast<mkldnn_query_t>(query), 0, &op_desc) !=
          mkldnn_success ||
      op_desc == nullptr ||
      real.primitive_desc_query(hint, mkldnn_query_impl_info_str, 0, &implementation) !=
          mkldnn_success ||
      implementation == nullptr || real.primitive_desc_get_attr(hint, &attr) != mkldnn_success) {
    return false;
  }
  // What a hint was itself hinted at cannot be asked of it. A forward descriptor needs no hint.
#ifndef OPCACHE_FAULT_ANY_HINT
  const int prop_kind = static_cast<const OpDescHead *>(op_desc)->prop_kind;
  if (prop_kind != mkldnn_forward_training && prop_kind != mkldnn_forward_scoring) return false;
#endif
  v.section("hint");
  v.value("engine", reinterpret_cast<uintptr_t>(engine));
  v.text("implementation", implementation);
  if (!visit_op_desc(v, *real.abi, op_desc) || !visit_attr(v, real, attr)) return false;
  const struct {
    const char *name;
    mkldnn_query_t query;
    int count;
  } kLayouts[] = {{"hint_src", mkldnn_query_src_pd, 1},
                  {"hint_weights", mkldnn_query_weights_pd, 2},
                  {"hint_dst", mkldnn_query_dst_pd, 1},
                  {"hint_workspace", mkldnn_query_workspace_pd, 1}};
  for (const auto &layout : kLayouts) {
    for (int i = 0; i < layout.count; ++i) {
      if (!visit_memory_pd(v, real, layout.name,
                           real.primitive_desc_query_pd(hint, layout.query, i), nullptr)) {
        return false;
      }
    }
  }
  return true;
}

}  // namespace

uint64_t Key::hash() const {
  const uint64_t k0 = 0xa0761d6478bd642full, k1 = 0xe7037ed1a0b428dbull;
  uint64_t a = k0 ^ size_, b = k1 + size_;
  uint32_t i = 0;
  for (; i + 8 <= size_; i += 8) {
    uint64_t w[4];
    memcpy(w, words_ + i, sizeof(w));
    a = mix(w[0] ^ k0, w[1] ^ a);
    b = mix(w[2] ^ k1, w[3] ^ b);
  }
  for (; i < size_; ++i) a = mix(words_[i] ^ k1, a ^ k0);
  return mix(a ^ k0, b ^ k1);
}

template <class V>
bool visit_operation(V &v, const Real &real, const Surroundings &around, const void *op_desc,
                     const_mkldnn_primitive_attr_t attr, const_mkldnn_primitive_desc_t hint,
                     uint64_t hint_serial, int implementation) {
  if (!visit_surroundings(v, around)) return false;
  v.number("implementation", implementation);
  if (!visit_op_desc(v, *real.abi, op_desc) || !visit_attr(v, real, attr)) return false;
  v.section("forward_hint");
#ifdef OPCACHE_FAULT_NO_HINT
  return true;
#endif
#ifdef OPCACHE_FAULT_HINT_BY_POINTER
  v.value("pointer", reinterpret_cast<uintptr_t>(hint));
  return true;
#endif
  v.value("serial", hint_serial);
  return hint == nullptr || hint_serial != 0 || visit_hint(v, real, hint);
}

template <class V>
bool visit_memory_object(V &v, const Real &real, mkldnn_engine_t engine,
                         const mkldnn_memory_desc_t &desc) {
  v.text("kind", "memory");
  v.value("engine", reinterpret_cast<uintptr_t>(engine));
  if (engine == nullptr) return false;
  return visit_memory(v, *real.abi, "desc", desc);
}

namespace {

// From v0.18 on an attribute also says how the data of an RNN is quantized, and there is no
// function to ask it. Of what we cache, only reorders of such data use it
// (src/cpu/rnn/rnn_reorders.hpp).
bool hides_attributes(const Real &real, const_mkldnn_primitive_desc_t input) {
  const int(&hiding)[2] = real.abi->rnn_data_formats;
  if (hiding[0] < 0) return false;
  const mkldnn_memory_desc_t *md = real.primitive_desc_query_memory_d(input);
  return md == nullptr || md->format == hiding[0] || md->format == hiding[1];
}

}  // namespace

template <class V>
bool visit_reorder(V &v, const Real &real, const Surroundings &around,
                   const_mkldnn_primitive_desc_t input, const_mkldnn_primitive_desc_t output,
                   const_mkldnn_primitive_attr_t attr, SerialOf serials) {
  if (attr != nullptr && hides_attributes(real, input)) return false;
  if (!visit_surroundings(v, around)) return false;
  v.text("kind", "reorder");
  mkldnn_engine_t output_engine = nullptr;
  if (real.primitive_desc_query(output, mkldnn_query_engine, 0, &output_engine) != mkldnn_success) {
    return false;
  }
  v.value("output_engine", reinterpret_cast<uintptr_t>(output_engine));
  return visit_memory_pd(v, real, "input", input, serials) &&
         visit_memory_pd(v, real, "output", output, serials) && visit_attr(v, real, attr);
}

namespace {

template <class V>
bool visit_inputs(V &v, const Real &real, const mkldnn_memory_desc_t *output, int n,
                  const const_mkldnn_primitive_desc_t *inputs, SerialOf serials) {
  v.number("has_output", output != nullptr);
  if (output != nullptr && !visit_memory(v, *real.abi, "output", *output)) return false;
  v.number("inputs", n);
  for (int i = 0; i < n; ++i) {
    if (inputs[i] == nullptr || !visit_memory_pd(v, real, "input", inputs[i], serials)) {
      return false;
    }
  }
  return true;
}

}  // namespace

template <class V>
bool visit_sum(V &v, const Real &real, const Surroundings &around,
               const mkldnn_memory_desc_t *output, int n, const float *scales,
               const const_mkldnn_primitive_desc_t *inputs, SerialOf serials) {
  if (!visit_surroundings(v, around)) return false;
  v.text("kind", "sum");
  if (!visit_inputs(v, real, output, n, inputs, serials)) return false;
  v.section("sum");
  for (int i = 0; i < n; ++i) v.real("scale", scales[i]);
  return true;
}

template <class V>
bool visit_concat(V &v, const Real &real, const Surroundings &around,
                  const mkldnn_memory_desc_t *output, int n, int concat_dimension,
                  const const_mkldnn_primitive_desc_t *inputs, SerialOf serials) {
  if (!visit_surroundings(v, around)) return false;
  v.text("kind", "concat");
  v.section("concat");
  v.number("dimension", concat_dimension);
  return visit_inputs(v, real, output, n, inputs, serials);
}

void Printer::section(const char *name) {
  if (!out_.empty()) out_ += ' ';
  out_ += name;
  out_ += ':';
}

void Printer::value(const char *name, uint64_t v) {
  char text[64];
  snprintf(text, sizeof(text), " %s=%llu", name, static_cast<unsigned long long>(v));
  out_ += text;
}

void Printer::number(const char *name, int v) { numbers(name, &v, 1); }

void Printer::real(const char *name, float v) {
  char text[64];
  snprintf(text, sizeof(text), " %s=%a", name, static_cast<double>(v));
  out_ += text;
}

void Printer::numbers(const char *name, const int *v, int n) {
  out_ += std::string(" ") + name + "=";
  for (int i = 0; i < n; ++i) out_ += (i > 0 ? "x" : "") + std::to_string(v[i]);
}

void Printer::strides(const char *name, const ptrdiff_t *v, int n) {
  out_ += std::string(" ") + name + "=";
  for (int i = 0; i < n; ++i) out_ += (i > 0 ? "," : "") + std::to_string(v[i]);
}

void Printer::text(const char *name, const char *v) { out_ += std::string(" ") + name + "=" + v; }

// The two visitors there are.
#define OPCACHE_INSTANTIATE(V)                                                                   \
  template bool visit_operation<V>(V &, const Real &, const Surroundings &, const void *,        \
                                   const_mkldnn_primitive_attr_t, const_mkldnn_primitive_desc_t, \
                                   uint64_t, int);                                               \
  template bool visit_memory_object<V>(V &, const Real &, mkldnn_engine_t,                       \
                                       const mkldnn_memory_desc_t &);                            \
  template bool visit_reorder<V>(V &, const Real &, const Surroundings &,                        \
                                 const_mkldnn_primitive_desc_t, const_mkldnn_primitive_desc_t,   \
                                 const_mkldnn_primitive_attr_t, SerialOf);                       \
  template bool visit_sum<V>(V &, const Real &, const Surroundings &,                            \
                             const mkldnn_memory_desc_t *, int, const float *,                   \
                             const const_mkldnn_primitive_desc_t *, SerialOf);                   \
  template bool visit_concat<V>(V &, const Real &, const Surroundings &,                         \
                                const mkldnn_memory_desc_t *, int, int,                          \
                                const const_mkldnn_primitive_desc_t *, SerialOf);
OPCACHE_INSTANTIATE(Key)
OPCACHE_INSTANTIATE(Printer)
#undef OPCACHE_INSTANTIATE

}  // namespace opcache
