// From a description to its canonical descriptor: building the key, looking it up, asking the real
// library on a miss. Shared by both interfaces; knows no header of MKL-DNN.
// A Source is a way to describe a primitive: `r` has the real functions, visit() names its fields
// to a visitor, create() asks the real library. Of an interface, count_tensors() and what
// shared/shadow.h names are used.
#ifndef OPCACHE_SHARED_CANONICAL_H_
#define OPCACHE_SHARED_CANONICAL_H_

#include <utility>

#include "report/message.h"
#include "settings/options.h"
#include "shared/context.h"
#include "shared/policy.h"
#include "shared/shadow.h"

namespace opcache {

// A success is 0 in both interfaces.
template <class Source>
using StatusOf = decltype(std::declval<const Source &>().create(nullptr));

// Some primitives are sized for the team when they are created, after their descriptor. To be asked
// where a primitive of `d` is: those cached are all made for the team of `d`.
template <class Real>
bool made_for_this_team(const Real &r, ThreadCache *cache, const Descriptor *d) {
  if (d->team == 0 || d->team == team_of(r)) return true;
  count_bypass(cache, kOtherTeam);
  return false;
}

template <class Source>
void trace(const Source &source, Op op) {
  Printer printer;
  source.visit(printer);
  if (printer.c_str() != nullptr) message("miss %s %s", op_name(op), printer.c_str());
}

// A real creation, timed; counted when it succeeds, but not on trial.
template <class Create>
auto create_timed(ThreadCache *cache, Op op, const Create &create,
                  uint64_t *cost_ticks = nullptr) -> decltype(create()) {
  const uint64_t start = ticks();
  Busy busy(cache);
  const auto status = create();
  if (!counts(cache)) return status;
  const uint64_t elapsed = ticks() - start;
  if (cost_ticks != nullptr) *cost_ticks = elapsed;
  // A creation within another one is part of it.
  if (status == 0 && !busy.was()) {
    count(cache, op, kDescriptorsCreated, kCreateTicks, elapsed);
  }
  return status;
}

// A real copy of a descriptor that is not cached; of an interface, op_of_handle() is used.
template <class Real>
auto clone_passing(const Real &r, ThreadCache *cache, mkldnn_primitive_desc **result,
                   const mkldnn_primitive_desc *existing)
    -> decltype(r.primitive_desc_clone(result, existing)) {
  const auto clone = [&] { return r.primitive_desc_clone(result, existing); };
  return counts(cache) ? create_timed(cache, op_of_handle(r, existing), clone) : clone();
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
    shadow_descriptor(source.r, cache, d, StatusOf<Source>(), nullptr, "");
    return;
  }
  mkldnn_primitive_desc *fresh = nullptr;
  StatusOf<Source> status;
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

// Caches `created`, whose key is in the scratch buffer; nullptr when that failed: created.real is
// then the caller's.
template <class Real>
Descriptor *insert(const Real &r, ThreadCache *cache, uint64_t hash, ThreadCache::Created created) {
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
StatusOf<Source> find_or_create(ThreadCache *cache, Op op, const Source &source,
                                mkldnn_primitive_desc **result, Descriptor **found) {
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
      return StatusOf<Source>();
    }
    if (options().trace) trace(source, op);
  }
  const int team = op != kMemory ? team_of(source.r) : 0;
  ThreadCache::Created created = {nullptr, 0, 0, op, team, 0, 0};
  const auto measured = [&] {
    const Metering metering(cache->ledger());
    const StatusOf<Source> status = source.create(&created.real);
    created.bytes = metering.bytes(kEstimatedDescriptorBytes);
    return status;
  };
  const StatusOf<Source> status = create_timed(cache, op, measured, &created.ticks);
  time.real_ticks += created.ticks;
  if (status != 0) return status;  // a failure is not remembered
  if (keyed) *found = insert(source.r, cache, hash, created);
  if (result != nullptr) {
    *result = created.real;
  } else if (*found == nullptr && created.real != nullptr) {
    source.r.primitive_desc_destroy(created.real);
  }
  return status;
}

// Creates a descriptor of anything but an operation: the scope alone decides whether it is cached.
// `cache` may be nullptr.
template <class Source>
StatusOf<Source> create_simple(ThreadCache *cache, Op op, const Source &source,
                               mkldnn_primitive_desc **result) {
  if (cache == nullptr || cache->busy) return source.create(result);
  if (caching(cache) && descriptor_in_scope(op)) {
    Descriptor *found;
    return find_or_create(cache, op, source, result, &found);
  }
  return create_timed(cache, op, [&] { return source.create(result); });
}

// Creates a descriptor of an operation, likewise.
template <class Operation>
StatusOf<Operation> create_described(ThreadCache *cache, const Operation &source,
                                     mkldnn_primitive_desc **result) {
  if (cache == nullptr) return source.create(result);
  Op op;
  if (!operation_in_scope(source.r, cache, source.op_desc, &op)) {
    return create_timed(cache, op, [&] { return source.create(result); });
  }
  Descriptor *found;
  const StatusOf<Operation> status = find_or_create(cache, op, source, result, &found);
  if (found != nullptr) {
    tell_deconvolution(source.r, cache, found, source.canonical_hint, source.op_desc);
  }
  return status;
}

// This thread's equal of another thread's descriptor, without a reference for the caller; nullptr
// when it cannot be created.
template <class Real>
Descriptor *localize(const Real &r, ThreadCache *cache, Descriptor *other) {
  if (cache->owns(other)) return other;
  Key &key = cache->scratch_key();
  key.assign(other->key, other->key_size);
  Descriptor *d = cache->find(key, other->hash);
  if (d == nullptr) {
    ThreadCache::Created created = {
        nullptr, other->inputs, other->outputs, op_of(other), other->team, 0, 0};
    const uint64_t start = ticks();
    const Metering metering(cache->ledger());
    if (r.primitive_desc_clone(&created.real, other->real) != 0) return nullptr;
    created.ticks = ticks() - start;
    created.bytes = metering.bytes(kEstimatedDescriptorBytes);
    d = cache->insert(key, other->hash, created);
    if (d == nullptr) {
      r.primitive_desc_destroy(created.real);
      return nullptr;
    }
    d->maybe_deconvolution.store(other->maybe_deconvolution.load(std::memory_order_relaxed),
                                 std::memory_order_relaxed);
    count(cache, created.op, kDescriptorsCreated, kCreateTicks, created.ticks);
  }
  // The table references it: nothing of this thread's is evicted before the caller is done with it.
  d->references.fetch_sub(1, std::memory_order_relaxed);
  return d;
}

}  // namespace opcache

#endif  // OPCACHE_SHARED_CANONICAL_H_
