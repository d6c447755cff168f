// Iterators over the implementations of an operation; from 1.4 on MXNet makes all its
// descriptors with them.
#include <stdlib.h>
#include <string.h>

#include "api0/calls.h"
#include "api0/canonical.h"

namespace opcache {

namespace {

// An iterator of ours over implementations that may all be known already: the real iterator is made
// when one is not. Like the real one it keeps the caller's op_desc and hint by address and copies
// the attributes. Its first word tells it from a real iterator, whose first word is a small number.
struct Iterator {
  const void *mark;
  mkldnn_primitive_desc_iterator_t real;
  int real_position;
  int position;
  bool ended;
  Descriptor *current;  // with a reference of ours; nullptr: ask the real iterator
  Op op;
  const_mkldnn_op_desc_t op_desc;
  mkldnn_primitive_attr_t attr;
  mkldnn_engine_t engine;
  const_mkldnn_primitive_desc_t hint;
};

const char kIteratorMark = 0;

Iterator *ours(const_mkldnn_primitive_desc_iterator_t handle) {
  Iterator *it = reinterpret_cast<Iterator *>(const_cast<mkldnn_primitive_desc_iterator_t>(handle));
  return it != nullptr && it->mark == &kIteratorMark ? it : nullptr;
}

// Brings the real iterator to `position`, making it first if need be.
mkldnn_status_t advance_real(const Real &r, ThreadCache *cache, Iterator *it, int position) {
  const auto advance = [&] {
    mkldnn_status_t status = mkldnn_success;
    if (it->real == nullptr) {
      status = r.primitive_desc_iterator_create_v2(&it->real, it->op_desc, it->attr, it->engine,
                                                   it->hint);
      if (status != mkldnn_success) it->real = nullptr;
      it->real_position = 0;
    }
    while (status == mkldnn_success && it->real_position < position) {
      status = r.primitive_desc_iterator_next(it->real);
      if (status == mkldnn_success) ++it->real_position;
    }
    return status;
  };
  uint64_t cost_ticks;
  return cache != nullptr ? create_timed(cache, it->op, advance, &cost_ticks) : advance();
}

// What an implementation is made by when nothing is cached: an iterator of its own.
struct Implementation : Operation {
  explicit Implementation(const Operation &operation) : Operation(operation) {}

  mkldnn_status_t create(mkldnn_primitive_desc_t *pd) const {
    mkldnn_primitive_desc_iterator_t it = nullptr;
    mkldnn_status_t status = r.primitive_desc_iterator_create_v2(&it, op_desc, attr, engine, hint);
    if (status != mkldnn_success) return status;
    for (int i = 0; status == mkldnn_success && i < implementation; ++i) {
      status = r.primitive_desc_iterator_next(it);
    }
    if (status == mkldnn_success) *pd = r.primitive_desc_iterator_fetch(it);
    r.primitive_desc_iterator_destroy(it);
    return status;
  }
};

// Points the iterator at its implementation number `position`, a cached one if that is in scope.
// `cache` may be nullptr when it is not.
mkldnn_status_t settle(const Real &r, ThreadCache *cache, Iterator *it, int position,
                       bool in_scope) {
  CacheTime time(cache);
  Descriptor *const canonical_hint = it->hint != nullptr ? find_descriptor(it->hint) : nullptr;
  const Operation source = {r,        it->op_desc,    it->attr, it->engine,
                            it->hint, canonical_hint, position};
  uint64_t hash = 0;
  const bool keyed = in_scope && make_key(cache, source, &hash);
  Descriptor *found = keyed ? cache->find(cache->scratch_key(), hash) : nullptr;
  if (found != nullptr) {
    count_avoided(cache, found);
    if (shadowing()) shadow_hit(cache, found, Implementation(source));
  } else {
    if (keyed && options().trace) trace(source, it->op);
    const uint64_t start = ticks();
    const mkldnn_status_t status = advance_real(r, cache, it, position);
    if (status != mkldnn_success) {
      time.real_ticks += ticks() - start;
      return status;
    }
    if (keyed) {
      const Metering metering(cache->ledger());
      const mkldnn_primitive_desc_t pd = r.primitive_desc_iterator_fetch(it->real);
      const size_t bytes = metering.bytes(kDescriptorPrice);
      const uint64_t cost_ticks = ticks() - start;
      if (pd != nullptr) {
        found = cache->insert(cache->scratch_key(), hash, pd, it->op, cost_ticks, bytes);
      }
      if (found == nullptr) {
        count_bypass(cache, kOutOfMemory);
        if (pd != nullptr) r.primitive_desc_destroy(pd);
      }
    }
    time.real_ticks += ticks() - start;
  }
  if (it->current != nullptr) release(it->current);
  it->current = found;
  it->position = position;
  if (found != nullptr) tell_deconvolution(r, cache, found, canonical_hint, it->op_desc);
  return mkldnn_success;
}

void free_iterator(const Real &r, Iterator *it) {
  if (it->current != nullptr) release(it->current);
  if (it->real != nullptr) r.primitive_desc_iterator_destroy(it->real);
  if (it->attr != nullptr) r.primitive_attr_destroy(it->attr);
  it->mark = nullptr;
  ThreadCache *const cache = ThreadCache::mine();
  if (cache != nullptr) {
    cache->give_spare(ThreadCache::kSpareIterator, it);
  } else {
    free(it);
  }
}

}  // namespace

mkldnn_status_t create_iterator(mkldnn_primitive_desc_iterator_t *result,
                                const_mkldnn_op_desc_t op_desc, const_mkldnn_primitive_attr_t attr,
                                mkldnn_engine_t engine, const_mkldnn_primitive_desc_t hint) {
  const Real *r = real();
  if (r == nullptr) return mkldnn_runtime_error;
  const bool arguments_ok = result != nullptr && op_desc != nullptr && engine != nullptr;
  ThreadCache *const cache = r->abi != nullptr && arguments_ok ? ThreadCache::mine() : nullptr;
  Op op;
  if (cache != nullptr && operation_in_scope(*r, cache, op_desc, &op)) {
    Iterator *it =
        static_cast<Iterator *>(cache->take_spare(ThreadCache::kSpareIterator, sizeof(Iterator)));
    if (it != nullptr) memset(it, 0, sizeof(*it));
    if (it != nullptr && attr != nullptr &&
        r->primitive_attr_clone(&it->attr, attr) != mkldnn_success) {
      cache->give_spare(ThreadCache::kSpareIterator, it);
      it = nullptr;
    }
    if (it != nullptr) {
      it->mark = &kIteratorMark;
      it->op = op;
      it->op_desc = op_desc;
      it->engine = engine;
      it->hint = hint;
      const mkldnn_status_t status = settle(*r, cache, it, 0, true);
      if (status != mkldnn_success) {
        free_iterator(*r, it);
        return status;
      }
      *result = reinterpret_cast<mkldnn_primitive_desc_iterator_t>(it);
      return mkldnn_success;
    }
    count_bypass(cache, kOutOfMemory);
  }
  if (cache == nullptr) {
    return r->primitive_desc_iterator_create_v2(result, op_desc, attr, engine, hint);
  }
  uint64_t cost_ticks;
  return create_timed(
      cache, op,
      [&] { return r->primitive_desc_iterator_create_v2(result, op_desc, attr, engine, hint); },
      &cost_ticks);
}

mkldnn_status_t next_implementation(mkldnn_primitive_desc_iterator_t iterator) {
  const Real *r = real();
  if (r == nullptr) return mkldnn_runtime_error;
  Iterator *const it = ours(iterator);
  if (it == nullptr) return r->primitive_desc_iterator_next(iterator);
  if (it->ended) return mkldnn_iterator_ends;
  ThreadCache *const cache = ThreadCache::mine();
  // The scope may have changed since the iterator was created.
  const bool in_scope = cache != nullptr && descriptor_in_scope(it->op);
  const mkldnn_status_t status = settle(*r, cache, it, it->position + 1, in_scope);
  if (status == mkldnn_iterator_ends) it->ended = true;
  return status;
}

mkldnn_primitive_desc_t fetch_implementation(const_mkldnn_primitive_desc_iterator_t iterator) {
  const Real *r = real();
  if (r == nullptr) return nullptr;
  Iterator *const it = ours(iterator);
  if (it == nullptr) return r->primitive_desc_iterator_fetch(iterator);
  if (it->ended) return nullptr;
  if (it->current == nullptr) return r->primitive_desc_iterator_fetch(it->real);
  retain(it->current);
  return it->current->real;
}

mkldnn_status_t destroy_iterator(mkldnn_primitive_desc_iterator_t iterator) {
  const Real *r = real();
  if (r == nullptr) return mkldnn_runtime_error;
  Iterator *const it = ours(iterator);
  if (it == nullptr) return r->primitive_desc_iterator_destroy(iterator);
  free_iterator(*r, it);
  return mkldnn_success;
}

}  // namespace opcache
