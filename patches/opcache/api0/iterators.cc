// Iterators over the implementations of an operation; from 1.4 on MXNet creates all its
// descriptors with them.
#include <string.h>

#include "api0/calls.h"
#include "api0/canonical.h"

namespace opcache {

namespace {

// An iterator of ours over implementations that may all be known already: the real iterator is
// created when one is not. Like the real one it stores the addresses of the caller's op_desc and
// hint and copies the attributes. Its first word tells it from a real iterator, whose first word is
// a small number.
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

// Brings the real iterator to `position`, creating it first if need be.
mkldnn_status_t advance_real(const Real &r, Iterator *it, int position) {
  mkldnn_status_t status = mkldnn_success;
  if (it->real == nullptr) {
    status =
        r.primitive_desc_iterator_create_v2(&it->real, it->op_desc, it->attr, it->engine, it->hint);
    if (status != mkldnn_success) it->real = nullptr;
    it->real_position = 0;
  }
  while (status == mkldnn_success && it->real_position < position) {
    status = r.primitive_desc_iterator_next(it->real);
    if (status == mkldnn_success) ++it->real_position;
  }
  return status;
}

// An implementation is created by bringing the real iterator there.
struct Implementation : Operation {
  Implementation(const Operation &operation, ThreadCache *cache, Iterator *it)
      : Operation(operation), cache(cache), it(it) {}

  mkldnn_status_t create(mkldnn_primitive_desc_t *pd) const {
    const mkldnn_status_t status = advance_real(r, it, implementation);
    if (status != mkldnn_success) return status;
    cache->ledger()->clear();  // the iterator is no part of the descriptor
    *pd = r.primitive_desc_iterator_fetch(it->real);
    return status;
  }

  ThreadCache *cache;
  Iterator *it;
};

// Points the iterator at its implementation number `position`, a cached one if that is in scope.
// `cache` may be nullptr when it is not.
mkldnn_status_t settle(const Real &r, ThreadCache *cache, Iterator *it, int position,
                       bool in_scope) {
  Descriptor *const canonical_hint = find_descriptor(it->hint);
  const Operation operation = {r,        it->op_desc,    it->attr, it->engine,
                               it->hint, canonical_hint, position};
  const auto advance = [&] { return advance_real(r, it, position); };
  Descriptor *found = nullptr;
  const mkldnn_status_t status =
      in_scope
          ? find_or_create(cache, it->op, Implementation(operation, cache, it), nullptr, &found)
      : cache != nullptr ? create_timed(cache, it->op, advance)
                         : advance();
  if (status != mkldnn_success) return status;
  if (it->current != nullptr) ThreadCache::release(it->current);
  it->current = found;
  it->position = position;
  if (found != nullptr) tell_deconvolution(r, cache, found, canonical_hint, it->op_desc);
  return mkldnn_success;
}

void free_iterator(const Real &r, Iterator *it) {
  if (it->current != nullptr) ThreadCache::release(it->current);
  if (it->real != nullptr) r.primitive_desc_iterator_destroy(it->real);
  if (it->attr != nullptr) r.primitive_attr_destroy(it->attr);
  it->mark = nullptr;
  ThreadCache::free_record(ThreadCache::kIterators, it);
}

}  // namespace

mkldnn_status_t create_iterator(mkldnn_primitive_desc_iterator_t *result,
                                const_mkldnn_op_desc_t op_desc, const_mkldnn_primitive_attr_t attr,
                                mkldnn_engine_t engine, const_mkldnn_primitive_desc_t hint) {
  const Real &r = real();
  const bool arguments_ok = result != nullptr && op_desc != nullptr && engine != nullptr;
  ThreadCache *const cache = arguments_ok ? cache_for(r) : nullptr;
  Op op;
  if (cache != nullptr && operation_in_scope(r, cache, op_desc, &op)) {
    Iterator *it =
        static_cast<Iterator *>(cache->allocate(ThreadCache::kIterators, sizeof(Iterator)));
    if (it != nullptr) memset(it, 0, sizeof(*it));
    if (it != nullptr && attr != nullptr &&
        r.primitive_attr_clone(&it->attr, attr) != mkldnn_success) {
      ThreadCache::free_record(ThreadCache::kIterators, it);
      it = nullptr;
    }
    if (it != nullptr) {
      it->mark = &kIteratorMark;
      it->op = op;
      it->op_desc = op_desc;
      it->engine = engine;
      it->hint = hint;
      const mkldnn_status_t status = settle(r, cache, it, 0, true);
      if (status != mkldnn_success) {
        free_iterator(r, it);
        return status;
      }
      *result = reinterpret_cast<mkldnn_primitive_desc_iterator_t>(it);
      return mkldnn_success;
    }
    count_bypass(cache, kOutOfMemory);
  }
  if (cache == nullptr) {
    return r.primitive_desc_iterator_create_v2(result, op_desc, attr, engine, hint);
  }
  return create_timed(cache, op, [&] {
    return r.primitive_desc_iterator_create_v2(result, op_desc, attr, engine, hint);
  });
}

mkldnn_status_t create_iterator_v1(mkldnn_primitive_desc_iterator_t *result,
                                   const_mkldnn_op_desc_t op_desc, mkldnn_engine_t engine,
                                   const_mkldnn_primitive_desc_t hint) {
  return create_iterator(result, op_desc, nullptr, engine, hint);
}

mkldnn_status_t next_implementation(mkldnn_primitive_desc_iterator_t iterator) {
  const Real &r = real();
  Iterator *const it = ours(iterator);
  if (it == nullptr) return r.primitive_desc_iterator_next(iterator);
  if (it->ended) return mkldnn_iterator_ends;
  ThreadCache *const cache = ThreadCache::mine();
  // The scope may have changed since the iterator was created.
  const bool in_scope = cache != nullptr && descriptor_in_scope(it->op);
  const mkldnn_status_t status = settle(r, cache, it, it->position + 1, in_scope);
  if (status == mkldnn_iterator_ends) it->ended = true;
  return status;
}

mkldnn_primitive_desc_t fetch_implementation(const_mkldnn_primitive_desc_iterator_t iterator) {
  const Real &r = real();
  Iterator *const it = ours(iterator);
  if (it == nullptr) return r.primitive_desc_iterator_fetch(iterator);
  if (it->ended) return nullptr;
  if (it->current == nullptr) return r.primitive_desc_iterator_fetch(it->real);
  retain(it->current);
  return it->current->real;
}

mkldnn_status_t destroy_iterator(mkldnn_primitive_desc_iterator_t iterator) {
  const Real &r = real();
  Iterator *const it = ours(iterator);
  if (it == nullptr) return r.primitive_desc_iterator_destroy(iterator);
  free_iterator(r, it);
  return mkldnn_success;
}

}  // namespace opcache
