// Primitive descriptors: an equal description gets the descriptor that is already there.
#include "api0/calls.h"
#include "api0/canonical.h"

namespace opcache {

void tell_deconvolution(const Real &r, ThreadCache *cache, Descriptor *d, Descriptor *hint,
                        const_mkldnn_op_desc_t op_desc) {
  const OpDescHead *const head = static_cast<const OpDescHead *>(op_desc);
  if (kind_of(*r.abi, head->primitive_kind) != Kind::kConvolution) return;
  const mkldnn_convolution_desc_t &desc = *static_cast<const mkldnn_convolution_desc_t *>(op_desc);
  tell_deconvolution(cache, d, hint, desc.prop_kind, desc.bias_desc.ndims != 0);
}

bool operation_in_scope(const Real &r, ThreadCache *cache, const_mkldnn_op_desc_t op_desc, Op *op) {
  const OpDescHead *head = static_cast<const OpDescHead *>(op_desc);
  *op = op_of(kind_of(*r.abi, head->primitive_kind), head->prop_kind);
  if (!caching(cache)) return false;
  if (*op == kOther || *op == kMemory) {
    count_bypass(cache, kUnknownKind);
    return false;
  }
  return descriptor_in_scope(*op);
}

namespace {

struct MemoryObject {
  const Real &r;
  const mkldnn_memory_desc_t *desc;
  mkldnn_engine_t engine;

  template <class V>
  void visit(V &v) const {
    visit_memory_object(v, r, engine, *desc);
  }
  mkldnn_status_t create(mkldnn_primitive_desc_t *pd) const {
    return r.memory_primitive_desc_create(pd, desc, engine);
  }
};

struct Reorder {
  const Real &r;
  const_mkldnn_primitive_desc_t input;
  const_mkldnn_primitive_desc_t output;
  const_mkldnn_primitive_attr_t attr;

  template <class V>
  void visit(V &v) const {
    visit_reorder(v, r, context_of(r, engine_of(r, input)), input, output, attr, id_of);
  }
  mkldnn_status_t create(mkldnn_primitive_desc_t *pd) const {
    return r.reorder_primitive_desc_create_v2(pd, input, output, attr);
  }
};

struct Sum {
  const Real &r;
  const mkldnn_memory_desc_t *output;
  int n;
  const float *scales;
  const_mkldnn_primitive_desc_t *inputs;

  template <class V>
  void visit(V &v) const {
    visit_sum(v, r, context_of(r, engine_of(r, inputs[0])), output, n, scales, inputs, id_of);
  }
  mkldnn_status_t create(mkldnn_primitive_desc_t *pd) const {
    return r.sum_primitive_desc_create(pd, output, n, scales, inputs);
  }
};

struct Concat {
  const Real &r;
  const mkldnn_memory_desc_t *output;
  int n;
  int dimension;
  const_mkldnn_primitive_desc_t *inputs;

  template <class V>
  void visit(V &v) const {
    visit_concat(v, r, context_of(r, engine_of(r, inputs[0])), output, n, dimension, inputs, id_of);
  }
  mkldnn_status_t create(mkldnn_primitive_desc_t *pd) const {
    return r.concat_primitive_desc_create(pd, output, n, dimension, inputs);
  }
};

// True when there are inputs and none is missing.
bool all(const_mkldnn_primitive_desc_t *inputs, int n) {
  for (int i = 0; inputs != nullptr && i < n; ++i) {
    if (inputs[i] == nullptr) return false;
  }
  return inputs != nullptr && n > 0;
}

}  // namespace

mkldnn_status_t create_operation(mkldnn_primitive_desc_t *result, const_mkldnn_op_desc_t op_desc,
                                 const_mkldnn_primitive_attr_t attr, mkldnn_engine_t engine,
                                 const_mkldnn_primitive_desc_t hint) {
  const bool arguments_ok = result != nullptr && op_desc != nullptr && engine != nullptr;
  const Operation source = {real(), op_desc, attr, engine, hint, find_descriptor(hint), 0};
  return create_described(cache_if(arguments_ok), source, result);
}

mkldnn_status_t create_operation_v1(mkldnn_primitive_desc_t *result, const_mkldnn_op_desc_t op_desc,
                                    mkldnn_engine_t engine, const_mkldnn_primitive_desc_t hint) {
  return create_operation(result, op_desc, nullptr, engine, hint);
}

mkldnn_status_t create_reorder(mkldnn_primitive_desc_t *result, const_mkldnn_primitive_desc_t input,
                               const_mkldnn_primitive_desc_t output,
                               const_mkldnn_primitive_attr_t attr) {
  const Reorder source = {real(), input, output, attr};
  const bool arguments_ok = result != nullptr && input != nullptr && output != nullptr;
  return create_simple(cache_if(arguments_ok), kReorder, source, result);
}

mkldnn_status_t create_reorder_v1(mkldnn_primitive_desc_t *result,
                                  const_mkldnn_primitive_desc_t input,
                                  const_mkldnn_primitive_desc_t output) {
  return create_reorder(result, input, output, nullptr);
}

mkldnn_status_t create_sum(mkldnn_primitive_desc_t *result, const mkldnn_memory_desc_t *output,
                           int n, const float *scales, const_mkldnn_primitive_desc_t *inputs) {
  const Sum source = {real(), output, n, scales, inputs};
  const bool arguments_ok = result != nullptr && scales != nullptr && all(inputs, n);
  return create_simple(cache_if(arguments_ok), kSum, source, result);
}

mkldnn_status_t create_concat(mkldnn_primitive_desc_t *result, const mkldnn_memory_desc_t *output,
                              int n, int dimension, const_mkldnn_primitive_desc_t *inputs) {
  const Concat source = {real(), output, n, dimension, inputs};
  return create_simple(cache_if(result != nullptr && all(inputs, n)), kConcat, source, result);
}

mkldnn_status_t create_memory_descriptor(mkldnn_primitive_desc_t *result,
                                         const mkldnn_memory_desc_t *desc, mkldnn_engine_t engine) {
  const MemoryObject source = {real(), desc, engine};
  const bool arguments_ok = result != nullptr && desc != nullptr && engine != nullptr;
  return create_simple(cache_if(arguments_ok), kMemory, source, result);
}

namespace {

// The canonical equal, with a reference for the caller, of a memory descriptor that is not; nullptr
// when `pd` is no memory descriptor or memory objects are not in scope.
Descriptor *canonical_memory(const Real &r, ThreadCache *cache, const_mkldnn_primitive_desc_t pd) {
  if (!descriptor_in_scope(kMemory) || kind_of(r, pd) != Kind::kMemory || !caching(cache)) {
    return nullptr;
  }
  const MemoryObject source = {r, r.primitive_desc_query_memory_d(pd), engine_of(r, pd)};
  Descriptor *found = nullptr;
  if (source.desc != nullptr) find_or_create(cache, kMemory, source, nullptr, &found);
  return found;
}

}  // namespace

// MXNet asks a descriptor for its tensors' layouts and clones the answers, each time: it gets
// the canonical memory descriptor, so that the clone only counts.
const_mkldnn_primitive_desc_t query_descriptor(const_mkldnn_primitive_desc_t descriptor,
                                               mkldnn_query_t what, int index) {
  const Real &r = real();
  ThreadCache *const cache = ThreadCache::mine();
  Descriptor *const d = cache != nullptr ? find_descriptor(descriptor) : nullptr;
  if (d == nullptr || !cache->owns(d)) return r.primitive_desc_query_pd(descriptor, what, index);
  CacheTime time(cache);
  for (int i = 0; i < d->layout_count; ++i) {
    const Layout &known = d->layouts[i];
    if (known.query == static_cast<unsigned>(what) && known.index == static_cast<unsigned>(index)) {
      return known.real;
    }
  }
  const const_mkldnn_primitive_desc_t answer = r.primitive_desc_query_pd(descriptor, what, index);
  const int room = sizeof(d->layouts) / sizeof(d->layouts[0]);
  const bool fits =
      static_cast<unsigned>(what) <= UINT16_MAX && static_cast<unsigned>(index) <= UINT16_MAX;
  // A memory descriptor is its own layout: a reference on itself would never be dropped.
  const bool itself = answer == descriptor;
  if (answer == nullptr || itself || d->layout_count == room || !fits) return answer;
  Descriptor *const memory = canonical_memory(r, cache, answer);
  if (memory == nullptr) return answer;
  const Layout layout = {static_cast<uint16_t>(what), static_cast<uint16_t>(index), memory->real};
  d->layouts[d->layout_count] = layout;
  d->layout_of[d->layout_count++] = memory;
  return memory->real;
}

mkldnn_status_t clone_descriptor(mkldnn_primitive_desc_t *result,
                                 const_mkldnn_primitive_desc_t existing) {
  const Real &r = real();
  ThreadCache *const cache = ThreadCache::mine();
  if (cache == nullptr || result == nullptr || existing == nullptr) {
    return r.primitive_desc_clone(result, existing);
  }
  Descriptor *d = find_descriptor(existing);
  if (d != nullptr) {
    CacheTime time(cache);
    retain(d);
    count_avoided(cache, d);
  } else {
    d = canonical_memory(r, cache, existing);
  }
  if (d != nullptr) {
    *result = d->real;
    return mkldnn_success;
  }
  return clone_passing(r, cache, result, existing);
}

mkldnn_status_t destroy_descriptor(mkldnn_primitive_desc_t descriptor) {
  return destroy_handle(real(), descriptor);
}

mkldnn_status_t destroy_engine(mkldnn_engine_t engine) {
  const Real &r = real();
  // Cached descriptors point to it. It is a few words: leave it.
  if (anything_cached()) return mkldnn_success;
  return r.engine_destroy(engine);
}

}  // namespace opcache
