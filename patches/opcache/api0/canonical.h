// From a description to its canonical descriptor: building the key, looking it up, asking the real
// library on a miss. Shared by descriptors.cc and iterators.cc.
// A Source is a way to describe a primitive: visit() names its fields to a visitor, create() asks
// the real library.
#ifndef OPCACHE_API0_CANONICAL_H_
#define OPCACHE_API0_CANONICAL_H_

#include "api0/fields.h"
#include "api0/policy.h"
#include "api0/shadow.h"
#include "cache/thread_cache.h"
#include "report/message.h"
#include "settings/options.h"

namespace opcache {

inline Context context_of(const Real &r, mkldnn_engine_t engine) {
  const Context context = {engine, r.omp_get_max_threads()};
  return context;
}

inline mkldnn_engine_t engine_of(const Real &r, const_mkldnn_primitive_desc_t pd) {
  mkldnn_engine_t engine = nullptr;
  if (pd != nullptr) r.primitive_desc_query(pd, mkldnn_query_engine, 0, &engine);
  return engine;
}

inline uint64_t id_of(const_mkldnn_primitive_desc_t pd) {
  const Descriptor *const d = find_descriptor(pd);
  return d != nullptr ? d->id : 0;
}

struct Operation {
  const Real &r;
  const_mkldnn_op_desc_t op_desc;
  const_mkldnn_primitive_attr_t attr;
  mkldnn_engine_t engine;
  const_mkldnn_primitive_desc_t hint;
  const Descriptor *canonical_hint;
  int implementation;

  template <class V>
  void visit(V &v) const {
    visit_operation(v, r, context_of(r, engine), op_desc, attr, hint,
                    canonical_hint != nullptr ? canonical_hint->id : 0, implementation);
  }
  mkldnn_status_t create(mkldnn_primitive_desc_t *pd) const {
    return r.primitive_desc_create_v2(pd, op_desc, attr, engine, hint);
  }
};

template <class Source>
void trace(const Source &source, Op op) {
  Printer printer;
  source.visit(printer);
  if (printer.c_str() != nullptr) message("miss %s %s", op_name(op), printer.c_str());
}

// A real creation, timed; counted when it succeeds.
template <class Create>
mkldnn_status_t create_timed(ThreadCache *cache, Op op, const Create &create,
                             uint64_t *cost_ticks = nullptr) {
  const uint64_t start = ticks();
  Busy busy(cache);
  const mkldnn_status_t status = create();
  const uint64_t elapsed = ticks() - start;
  if (cost_ticks != nullptr) *cost_ticks = elapsed;
  // A creation within another one is part of it.
  if (status == mkldnn_success && !busy.was()) {
    count(cache, op, kDescriptorsCreated, kCreateTicks, elapsed);
  }
  return status;
}

inline void count_avoided(ThreadCache *cache, const Descriptor *d) {
  count(cache, op_of(d), kDescriptorsAvoided, kAvoidedTicks, d->descriptor_ticks);
}

// The key of `source` in the thread's scratch buffer and its hash; false: do not cache.
template <class Source>
bool make_key(ThreadCache *cache, const Source &source, uint64_t *hash) {
  Key &key = cache->scratch_key();
  key.clear();
  source.visit(key);
  if (!key.known() || !key.complete()) {
    count_bypass(cache, key.known() ? kKeyTooLarge : kUnknownDescription);
    return false;
  }
  *hash = key.hash();
  return true;
}

// In shadow mode, after a hit: asks the real library for the same and compares the two.
template <class Source>
void shadow_hit(ThreadCache *cache, Descriptor *d, const Source &source) {
  if (!shadow_due()) {
    shadow_descriptor(source.r, cache, d, mkldnn_success, nullptr, "");
    return;
  }
  mkldnn_primitive_desc_t fresh = nullptr;
  mkldnn_status_t status;
  {
    Busy busy(cache);
    status = source.create(&fresh);
  }
  Printer printer;
  source.visit(printer);
  if (printer.c_str() != nullptr) {
    shadow_descriptor(source.r, cache, d, status, fresh, printer.c_str());
  } else if (fresh != nullptr) {
    source.r.primitive_desc_destroy(fresh);  // no memory for the text: this hit goes unchecked
  }
}

// The numbers of inputs and outputs; false when they cannot be asked. Not by query_s32, which
// answers 0 when it fails.
inline bool count_tensors(const Real &r, const_mkldnn_primitive_desc_t pd, int *inputs,
                          int *outputs) {
  return r.primitive_desc_query(pd, mkldnn_query_num_of_inputs_s32, 0, inputs) == mkldnn_success &&
         r.primitive_desc_query(pd, mkldnn_query_num_of_outputs_s32, 0, outputs) == mkldnn_success;
}

// Caches `created`, whose key is in the scratch buffer; nullptr when that failed: created.real is
// then the caller's.
inline Descriptor *insert(const Real &r, ThreadCache *cache, uint64_t hash,
                          ThreadCache::Created created) {
  Descriptor *d = nullptr;
  if (created.real != nullptr &&
      count_tensors(r, created.real, &created.inputs, &created.outputs)) {
    d = cache->insert(cache->scratch_key(), hash, created);
  }
  if (d == nullptr) count_bypass(cache, kOutOfMemory);
  return d;
}

// Returns a canonical descriptor of `source` with a reference for the caller in *found, or, when
// it could not be cached, *found == nullptr and only the real one in *result. With `result` nullptr
// the caller wants none but a canonical one.
template <class Source>
mkldnn_status_t find_or_create(ThreadCache *cache, Op op, const Source &source,
                               mkldnn_primitive_desc_t *result, Descriptor **found) {
  CacheTime time(cache);
  *found = nullptr;
  uint64_t hash = 0;
  const bool keyed = make_key(cache, source, &hash);
  if (keyed) {
    *found = cache->find(cache->scratch_key(), hash);
    if (*found != nullptr) {
      count_avoided(cache, *found);
      if (shadowing()) shadow_hit(cache, *found, source);
      if (result != nullptr) *result = (*found)->real;
      return mkldnn_success;
    }
    if (options().trace) trace(source, op);
  }
  ThreadCache::Created created = {nullptr, 0, 0, op, 0, 0};
  const auto measured = [&] {
    const Metering metering(cache->ledger());
    const mkldnn_status_t status = source.create(&created.real);
    created.bytes = metering.bytes(kEstimatedDescriptorBytes);
    return status;
  };
  const mkldnn_status_t status = create_timed(cache, op, measured, &created.ticks);
  time.real_ticks += created.ticks;
  if (status != mkldnn_success) return status;  // a failure is not remembered
  if (keyed) *found = insert(source.r, cache, hash, created);
  if (result != nullptr) {
    *result = created.real;
  } else if (*found == nullptr && created.real != nullptr) {
    source.r.primitive_desc_destroy(created.real);
  }
  return status;
}

// Tells Convolution and Deconvolution apart by the order of calls, after `found` was handed out for
// `op_desc`; does nothing for other kinds.
void tell_deconvolution(const Real &r, ThreadCache *cache, Descriptor *found, Descriptor *hint,
                        const_mkldnn_op_desc_t op_desc);

// Whether an operation descriptor is to be cached; *op is its operator in any case.
bool operation_in_scope(const Real &r, ThreadCache *cache, const_mkldnn_op_desc_t op_desc, Op *op);

}  // namespace opcache

#endif  // OPCACHE_API0_CANONICAL_H_
