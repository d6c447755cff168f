#include "api0/fields.h"

#include "api0/desc_fields.h"
#include "cache/key.h"

namespace opcache {

namespace {

template <class V>
void visit_memory_pd(V &v, const Real &real, const char *name, const_mkldnn_primitive_desc_t pd,
                     IdOf ids) {
  v.section(name);
  if (pd == nullptr) {
    v.text("absent", "");
    return;
  }
  const uint64_t id = ids != nullptr ? ids(pd) : 0;
  v.value("id", id);
  if (id != 0) return;
  const mkldnn_memory_desc_t *md = real.primitive_desc_query_memory_d(pd);
  if (md == nullptr) return v.unknown();
  visit_memory(v, *real.abi, "layout", *md);
}

// Rounding, output scales and post-ops: all that v0.14 to v0.19 have in an attribute for the kinds
// we cache, but for what hides_attributes() is about.
template <class V>
void visit_attr(V &v, const Real &real, const_mkldnn_primitive_attr_t attr) {
  v.section("attr");
  if (attr == nullptr) {
    v.number("given", 0);
    return;
  }
  mkldnn_round_mode_t round_mode;
  int count = 0, mask = 0;
  const float *scales = nullptr;
  const_mkldnn_post_ops_t post_ops = nullptr;
  if (real.primitive_attr_get_int_output_round_mode(attr, &round_mode) != mkldnn_success ||
      real.primitive_attr_get_output_scales(attr, &count, &mask, &scales) != mkldnn_success ||
      real.primitive_attr_get_post_ops(attr, &post_ops) != mkldnn_success) {
    return v.unknown();
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
        if (real.post_ops_get_params_sum(post_ops, i, &scale) != mkldnn_success) return v.unknown();
        break;
      case Kind::kEltwise:
        if (real.post_ops_get_params_eltwise(post_ops, i, &scale, &alg, &alpha, &beta) !=
            mkldnn_success) {
          return v.unknown();
        }
        break;
      default:
        return v.unknown();
    }
    v.real("post_op_scale", scale);
    v.number("post_op_alg", alg);
    v.real("post_op_alpha", alpha);
    v.real("post_op_beta", beta);
  }
}

// All that a backward implementation can read of its forward hint: its engine, the description it
// was created from, the implementation chosen, and the layouts that implementation settled on.
template <class V>
void visit_hint(V &v, const Real &real, const_mkldnn_primitive_desc_t hint) {
  const int query = op_desc_query(*real.abi, kind_of(real, hint));
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
    return v.unknown();
  }
  // A descriptor does not tell what its own hint was. A forward descriptor has none.
  const int prop_kind = static_cast<const OpDescHead *>(op_desc)->prop_kind;
  if (prop_kind != mkldnn_forward_training && prop_kind != mkldnn_forward_scoring)
    return v.unknown();
  v.section("hint");
  v.value("engine", reinterpret_cast<uintptr_t>(engine));
  v.text("implementation", implementation);
  visit_op_desc(v, *real.abi, op_desc);
  visit_attr(v, real, attr);
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
      visit_memory_pd(v, real, layout.name, real.primitive_desc_query_pd(hint, layout.query, i),
                      nullptr);
    }
  }
}

}  // namespace

template <class V>
void visit_operation(V &v, const Real &real, const Context &context, const void *op_desc,
                     const_mkldnn_primitive_attr_t attr, const_mkldnn_primitive_desc_t hint,
                     uint64_t hint_id, int implementation) {
  visit_context(v, context);
  v.number("implementation", implementation);
  visit_op_desc(v, *real.abi, op_desc);
  visit_attr(v, real, attr);
  v.section("forward_hint");
  v.value("id", hint_id);
  if (hint != nullptr && hint_id == 0) visit_hint(v, real, hint);
}

template <class V>
void visit_memory_object(V &v, const Real &real, mkldnn_engine_t engine,
                         const mkldnn_memory_desc_t &desc) {
  v.text("kind", "memory");
  v.value("engine", reinterpret_cast<uintptr_t>(engine));
  if (engine == nullptr) v.unknown();
  visit_memory(v, *real.abi, "desc", desc);
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
void visit_reorder(V &v, const Real &real, const Context &context,
                   const_mkldnn_primitive_desc_t input, const_mkldnn_primitive_desc_t output,
                   const_mkldnn_primitive_attr_t attr, IdOf ids) {
  if (attr != nullptr && hides_attributes(real, input)) return v.unknown();
  visit_context(v, context);
  v.text("kind", "reorder");
  mkldnn_engine_t output_engine = nullptr;
  if (real.primitive_desc_query(output, mkldnn_query_engine, 0, &output_engine) != mkldnn_success) {
    v.unknown();
  }
  v.value("output_engine", reinterpret_cast<uintptr_t>(output_engine));
  visit_memory_pd(v, real, "input", input, ids);
  visit_memory_pd(v, real, "output", output, ids);
  visit_attr(v, real, attr);
}

namespace {

template <class V>
void visit_inputs(V &v, const Real &real, const mkldnn_memory_desc_t *output, int n,
                  const const_mkldnn_primitive_desc_t *inputs, IdOf ids) {
  v.number("has_output", output != nullptr);
  if (output != nullptr) visit_memory(v, *real.abi, "output", *output);
  v.number("inputs", n);
  for (int i = 0; i < n; ++i) {
    if (inputs[i] == nullptr) return v.unknown();
    visit_memory_pd(v, real, "input", inputs[i], ids);
  }
}

}  // namespace

template <class V>
void visit_sum(V &v, const Real &real, const Context &context, const mkldnn_memory_desc_t *output,
               int n, const float *scales, const const_mkldnn_primitive_desc_t *inputs, IdOf ids) {
  visit_context(v, context);
  v.text("kind", "sum");
  visit_inputs(v, real, output, n, inputs, ids);
  v.section("sum");
  for (int i = 0; i < n; ++i) v.real("scale", scales[i]);
}

template <class V>
void visit_concat(V &v, const Real &real, const Context &context,
                  const mkldnn_memory_desc_t *output, int n, int concat_dimension,
                  const const_mkldnn_primitive_desc_t *inputs, IdOf ids) {
  visit_context(v, context);
  v.text("kind", "concat");
  v.section("concat");
  v.number("dimension", concat_dimension);
  visit_inputs(v, real, output, n, inputs, ids);
}

// The two visitors there are.
#define OPCACHE_INSTANTIATE(V)                                                                    \
  template void visit_operation<V>(V &, const Real &, const Context &, const void *,              \
                                   const_mkldnn_primitive_attr_t, const_mkldnn_primitive_desc_t,  \
                                   uint64_t, int);                                                \
  template void visit_memory_object<V>(V &, const Real &, mkldnn_engine_t,                        \
                                       const mkldnn_memory_desc_t &);                             \
  template void visit_reorder<V>(V &, const Real &, const Context &,                              \
                                 const_mkldnn_primitive_desc_t, const_mkldnn_primitive_desc_t,    \
                                 const_mkldnn_primitive_attr_t, IdOf);                            \
  template void visit_sum<V>(V &, const Real &, const Context &, const mkldnn_memory_desc_t *,    \
                             int, const float *, const const_mkldnn_primitive_desc_t *, IdOf);    \
  template void visit_concat<V>(V &, const Real &, const Context &, const mkldnn_memory_desc_t *, \
                                int, int, const const_mkldnn_primitive_desc_t *, IdOf);
OPCACHE_INSTANTIATE(Key)
OPCACHE_INSTANTIATE(Printer)
#undef OPCACHE_INSTANTIATE

}  // namespace opcache
