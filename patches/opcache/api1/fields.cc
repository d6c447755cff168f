#include "api1/fields.h"

#include <atomic>

#include "cache/key.h"
#include "shared/policy.h"

namespace opcache {
namespace api1 {

namespace {

std::atomic<bool> g_hidden(false);

template <class V>
void visit_memory(V &v, const char *name, const MemoryDesc &md) {
  v.section(name);
  if (md.ndims < 0 || md.ndims > kMaxDims) return v.unknown();
  v.number("ndims", md.ndims);
  // No dimensions is how MKL-DNN says "absent"; what else stands there means nothing.
  if (md.ndims == 0) return;
  v.strides("dims", md.dims, md.ndims);
  v.number("data_type", md.data_type);
  v.strides("padded_dims", md.padded_dims, md.ndims);
  v.strides("padded_offsets", md.padded_offsets, md.ndims);
  v.value("offset0", static_cast<uint64_t>(md.offset0));
  v.number("format_kind", md.format_kind);
  // Of 8-bit convolutions: weights with a compensation behind them.
  if (md.extra.flags != 0) return v.unknown();
  if (md.format_kind == kFormatAny) return;
  // Weights for Winograd's algorithm, and of RNNs.
  if (md.format_kind != kFormatBlocked) return v.unknown();
  const Blocking &b = md.blocking;
  if (b.inner_nblks < 0 || b.inner_nblks > kMaxDims) return v.unknown();
  v.strides("strides", b.strides, md.ndims);
  v.number("inner_nblks", b.inner_nblks);
  v.strides("inner_blks", b.inner_blks, b.inner_nblks);
  v.strides("inner_idxs", b.inner_idxs, b.inner_nblks);
}

// The spatial parameters of a convolution or pooling: as many as the tensor has spatial dimensions.
int spatial_dims(const MemoryDesc &a, const MemoryDesc &b) {
  const int spatial = (a.ndims > b.ndims ? a.ndims : b.ndims) - 2;
  return spatial < 0 ? 0 : (spatial > kMaxDims ? kMaxDims : spatial);
}

// Convolutions and inner products.
template <class V, class Desc>
void visit_weighted(V &v, const Desc &d) {
  visit_memory(v, "src", d.src);
  visit_memory(v, "diff_src", d.diff_src);
  visit_memory(v, "weights", d.weights);
  visit_memory(v, "diff_weights", d.diff_weights);
  visit_memory(v, "bias", d.bias);
  visit_memory(v, "diff_bias", d.diff_bias);
  visit_memory(v, "dst", d.dst);
  visit_memory(v, "diff_dst", d.diff_dst);
}

template <class V>
void visit_desc(V &v, const ConvolutionDesc &d) {
  v.number("alg_kind", d.alg_kind);
  visit_weighted(v, d);
  const int n = spatial_dims(d.src, d.diff_src);
  v.section("convolution");
  v.strides("strides", d.strides, n);
  v.strides("dilates", d.dilates, n);
  v.strides("padding_l", d.padding[0], n);
  v.strides("padding_r", d.padding[1], n);
  v.number("accum_data_type", d.accum_data_type);
}

template <class V>
void visit_desc(V &v, const EltwiseDesc &d) {
  v.number("alg_kind", d.alg_kind);
  visit_memory(v, "data", d.data);
  visit_memory(v, "diff_data", d.diff_data);
  v.section("eltwise");
  v.real("alpha", d.alpha);
  v.real("beta", d.beta);
}

template <class V>
void visit_desc(V &v, const SoftmaxDesc &d) {
  visit_memory(v, "data", d.data);
  visit_memory(v, "diff", d.diff);
  v.section("softmax");
  v.number("axis", d.axis);
}

template <class V>
void visit_desc(V &v, const PoolingDesc &d) {
  v.number("alg_kind", d.alg_kind);
  visit_memory(v, "src", d.src);
  visit_memory(v, "diff_src", d.diff_src);
  visit_memory(v, "dst", d.dst);
  visit_memory(v, "diff_dst", d.diff_dst);
  const int n = spatial_dims(d.src, d.diff_src);
  v.section("pooling");
  v.strides("strides", d.strides, n);
  v.strides("kernel", d.kernel, n);
  v.strides("padding_l", d.padding[0], n);
  v.strides("padding_r", d.padding[1], n);
  v.number("accum_data_type", d.accum_data_type);
}

template <class V>
void visit_desc(V &v, const LrnDesc &d) {
  v.number("alg_kind", d.alg_kind);
  visit_memory(v, "data", d.data);
  visit_memory(v, "diff_data", d.diff_data);
  v.section("lrn");
  v.value("local_size", static_cast<uint64_t>(d.local_size));
  v.real("alpha", d.alpha);
  v.real("beta", d.beta);
  v.real("k", d.k);
}

template <class V>
void visit_desc(V &v, const BatchNormDesc &d) {
  visit_memory(v, "data", d.data);
  visit_memory(v, "diff_data", d.diff_data);
  visit_memory(v, "data_scaleshift", d.scaleshift);
  visit_memory(v, "diff_data_scaleshift", d.diff_scaleshift);
  visit_memory(v, "stat", d.stat);
  v.section("batch_norm");
  v.real("epsilon", d.epsilon);
  v.value("flags", d.flags);
}

template <class V>
void visit_desc(V &v, const InnerProductDesc &d) {
  visit_weighted(v, d);
  v.section("inner_product");
  v.number("accum_data_type", d.accum_data_type);
}

template <class V>
void visit_op_desc(V &v, const void *op_desc) {
  const OperationHead *const head = static_cast<const OperationHead *>(op_desc);
  v.section("op");
  v.number("primitive_kind", head->primitive_kind);
  v.number("prop_kind", head->prop_kind);
  switch (head->primitive_kind) {
    case kConvolutionKind:
    case kDeconvolutionKind:
      return visit_desc(v, *static_cast<const ConvolutionDesc *>(head));
    case kEltwiseKind:
      return visit_desc(v, *static_cast<const EltwiseDesc *>(head));
    case kSoftmaxKind:
      return visit_desc(v, *static_cast<const SoftmaxDesc *>(head));
    case kPoolingKind:
      return visit_desc(v, *static_cast<const PoolingDesc *>(head));
    case kLrnKind:
      return visit_desc(v, *static_cast<const LrnDesc *>(head));
    case kBatchNormKind:
      return visit_desc(v, *static_cast<const BatchNormDesc *>(head));
    case kInnerProductKind:
      return visit_desc(v, *static_cast<const InnerProductDesc *>(head));
    default:
      return v.unknown();
  }
}

// Output scales and post-ops. A scratchpad that is the caller's changes what a primitive takes.
template <class V>
void visit_attr(V &v, const Real &real, const Attr *attr) {
  v.section("attr");
  if (attr == nullptr) {
    v.number("given", 0);
    return;
  }
  int scratchpad_mode, mask = 0;
  int64_t count = 0;
  const float *scales = nullptr;
  const PostOps *post_ops = nullptr;
  if (attributes_may_hide() ||
      real.primitive_attr_get_scratchpad_mode(attr, &scratchpad_mode) != kSuccess ||
      scratchpad_mode != kScratchpadLibrary ||
      real.primitive_attr_get_output_scales(attr, &count, &mask, &scales) != kSuccess ||
      real.primitive_attr_get_post_ops(attr, &post_ops) != kSuccess) {
    return v.unknown();
  }
  v.number("given", 1);
  v.number("scales_mask", mask);
  v.value("scales_count", static_cast<uint64_t>(count));
  for (int64_t i = 0; i < count; ++i) v.real("scale", scales[i]);
  const int length = real.post_ops_len(post_ops);
  v.number("post_ops", length);
  for (int i = 0; i < length; ++i) {
    const int kind = real.post_ops_get_kind(post_ops, i);
    v.number("post_op", kind);
    float scale = 0, alpha = 0, beta = 0;
    int alg = 0;
    const bool told =
        kind == kSumKind ? real.post_ops_get_params_sum(post_ops, i, &scale) == kSuccess
        : kind == kEltwiseKind
            ? real.post_ops_get_params_eltwise(post_ops, i, &scale, &alg, &alpha, &beta) == kSuccess
            : false;
    if (!told) return v.unknown();
    v.real("post_op_scale", scale);
    v.number("post_op_alg", alg);
    v.real("post_op_alpha", alpha);
    v.real("post_op_beta", beta);
  }
}

// All that a backward implementation can read of its forward hint: its engine, the description it
// was created from, the implementation chosen, and the layouts that implementation settled on.
template <class V>
void visit_hint(V &v, const Real &real, const mkldnn_primitive_desc *hint) {
  const void *op_desc = nullptr;
  const char *implementation = nullptr;
  const Attr *attr = nullptr;
  Engine *engine = nullptr;
  if (real.primitive_desc_query(hint, kQueryEngine, 0, &engine) != kSuccess ||
      real.primitive_desc_query(hint, kQueryOperation, 0, &op_desc) != kSuccess ||
      real.primitive_desc_query(hint, kQueryImplementation, 0, &implementation) != kSuccess ||
      implementation == nullptr || real.primitive_desc_get_attr(hint, &attr) != kSuccess) {
    return v.unknown();
  }
  // A descriptor does not tell what its own hint was. A forward descriptor has none.
  const int prop_kind = static_cast<const OperationHead *>(op_desc)->prop_kind;
  if (prop_kind != kForwardTraining && prop_kind != kForwardScoring) return v.unknown();
  v.section("hint");
  v.value("engine", reinterpret_cast<uintptr_t>(engine));
  v.text("implementation", implementation);
  visit_op_desc(v, op_desc);
  visit_attr(v, real, attr);
  const struct {
    const char *name;
    Query query;
    int count;
  } kLayouts[] = {{"hint_src", kQuerySrc, 1},
                  {"hint_weights", kQueryWeights, 2},
                  {"hint_dst", kQueryDst, 3},
                  {"hint_workspace", kQueryWorkspace, 1}};
  for (const auto &layout : kLayouts) {
    for (int i = 0; i < layout.count; ++i) {
      const MemoryDesc *const md = real.primitive_desc_query_md(hint, layout.query, i);
      v.number("given", md != nullptr);
      if (md != nullptr) visit_memory(v, layout.name, *md);
    }
  }
}

template <class V>
void visit_tensors(V &v, const MemoryDesc *output, int n, const MemoryDesc *inputs) {
  v.number("has_output", output != nullptr);
  if (output != nullptr) visit_memory(v, "output", *output);
  v.number("inputs", n);
  for (int i = 0; i < n; ++i) visit_memory(v, "input", inputs[i]);
}

}  // namespace

bool attributes_may_hide() { return g_hidden.load(std::memory_order_relaxed); }

void hide_attributes() { g_hidden.store(true, std::memory_order_relaxed); }

template <class V>
void visit_operation(V &v, const Real &real, const Context &context, const void *op_desc,
                     const Attr *attr, const mkldnn_primitive_desc *hint, uint64_t hint_id,
                     int implementation) {
  visit_context(v, context);
  v.number("implementation", implementation);
  visit_op_desc(v, op_desc);
  visit_attr(v, real, attr);
  v.section("forward_hint");
  v.value("id", hint_id);
  if (hint != nullptr && hint_id == 0) visit_hint(v, real, hint);
}

template <class V>
void visit_reorder(V &v, const Real &real, const Context &context, const MemoryDesc &source,
                   const MemoryDesc &destination, Engine *destination_engine, const Attr *attr) {
  visit_context(v, context);
  v.text("kind", "reorder");
  v.value("output_engine", reinterpret_cast<uintptr_t>(destination_engine));
  visit_memory(v, "input", source);
  visit_memory(v, "output", destination);
  visit_attr(v, real, attr);
}

template <class V>
void visit_sum(V &v, const Real &real, const Context &context, const MemoryDesc *output, int n,
               const float *scales, const MemoryDesc *inputs, const Attr *attr) {
  visit_context(v, context);
  v.text("kind", "sum");
  visit_tensors(v, output, n, inputs);
  v.section("sum");
  for (int i = 0; i < n; ++i) v.real("scale", scales[i]);
  visit_attr(v, real, attr);
}

template <class V>
void visit_concat(V &v, const Real &real, const Context &context, const MemoryDesc *output, int n,
                  int dimension, const MemoryDesc *inputs, const Attr *attr) {
  visit_context(v, context);
  v.text("kind", "concat");
  v.section("concat");
  v.number("dimension", dimension);
  visit_tensors(v, output, n, inputs);
  visit_attr(v, real, attr);
}

// The two visitors there are.
#define OPCACHE_INSTANTIATE(V)                                                                     \
  template void visit_operation<V>(V &, const Real &, const Context &, const void *, const Attr *, \
                                   const mkldnn_primitive_desc *, uint64_t, int);                  \
  template void visit_reorder<V>(V &, const Real &, const Context &, const MemoryDesc &,           \
                                 const MemoryDesc &, Engine *, const Attr *);                      \
  template void visit_sum<V>(V &, const Real &, const Context &, const MemoryDesc *, int,          \
                             const float *, const MemoryDesc *, const Attr *);                     \
  template void visit_concat<V>(V &, const Real &, const Context &, const MemoryDesc *, int, int,  \
                                const MemoryDesc *, const Attr *);
OPCACHE_INSTANTIATE(Key)
OPCACHE_INSTANTIATE(Printer)
#undef OPCACHE_INSTANTIATE

}  // namespace api1
}  // namespace opcache
