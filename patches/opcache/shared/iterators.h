// Iterators over the implementations of an operation; from 1.4 on MXNet creates all its descriptors
// with them. Shared by both interfaces; knows no header of MKL-DNN.
#ifndef OPCACHE_SHARED_ITERATORS_H_
#define OPCACHE_SHARED_ITERATORS_H_

#include <string.h>

#include "shared/canonical.h"

namespace opcache {

// Api names an interface's types (Real, Operation, RealIterator, Attr, Engine, Status) and what is
// called otherwise in another: create(), which creates a real iterator, and kEnds, the status of
// one that has passed its last implementation.
template <class Api>
class Iterator {
 public:
  typedef typename Api::Real Real;
  typedef typename Api::RealIterator RealIterator;
  typedef typename Api::Status Status;

  static Status create(const Real &r, ThreadCache *cache, RealIterator **result,
                       const void *op_desc, const typename Api::Attr *attr,
                       typename Api::Engine *engine, const mkldnn_primitive_desc *hint) {
    Op op;
    if (cache != nullptr && operation_in_scope(r, cache, op_desc, &op)) {
      Iterator *const it = allocate(r, cache, attr);
      if (it != nullptr) {
        it->op_ = op;
        it->op_desc_ = op_desc;
        it->engine_ = engine;
        it->hint_ = hint;
        const Status status = it->settle(r, cache, 0, true);
        if (status != 0) {
          it->destroy(r);
          return status;
        }
        *result = reinterpret_cast<RealIterator *>(it);
        return Status();
      }
      count_bypass(cache, kOutOfMemory);
    }
    const auto real = [&] { return Api::create(r, result, op_desc, attr, engine, hint); };
    return cache != nullptr ? create_timed(cache, op, real) : real();
  }

  // nullptr: it is a real one.
  static Iterator *ours(const RealIterator *handle) {
    Iterator *it = reinterpret_cast<Iterator *>(const_cast<RealIterator *>(handle));
    return it != nullptr && it->mark_ == &kMark ? it : nullptr;
  }

  Status next(const Real &r) {
    if (ended_) return Api::kEnds;
    ThreadCache *const cache = ThreadCache::mine();
    // The scope may have changed since the iterator was created.
    const bool in_scope = cache != nullptr && descriptor_in_scope(op_);
    const Status status = settle(r, cache, position_ + 1, in_scope);
    if (status == Api::kEnds) ended_ = true;
    return status;
  }

  mkldnn_primitive_desc *fetch(const Real &r) const {
    if (ended_) return nullptr;
    if (current_ == nullptr) return r.primitive_desc_iterator_fetch(real_);
    retain(current_);
    return current_->real;
  }

  void destroy(const Real &r) {
    if (current_ != nullptr) ThreadCache::release(current_);
    if (real_ != nullptr) r.primitive_desc_iterator_destroy(real_);
    if (attr_ != nullptr) r.primitive_attr_destroy(attr_);
    mark_ = nullptr;
    ThreadCache::free_record(ThreadCache::kIterators, this);
  }

 private:
  typedef typename Api::Operation Operation;

  // An implementation is created by bringing the real iterator there.
  struct Implementation : Operation {
    Implementation(const Operation &operation, ThreadCache *cache, Iterator *it)
        : Operation(operation), cache(cache), it(it) {}

    Status create(mkldnn_primitive_desc **pd) const {
      const Status status = it->advance_real(this->r, this->implementation);
      if (status != 0) return status;
      cache->ledger()->clear();  // the iterator is no part of the descriptor
      *pd = this->r.primitive_desc_iterator_fetch(it->real_);
      return status;
    }

    ThreadCache *cache;
    Iterator *it;
  };

  // nullptr when memory is short.
  static Iterator *allocate(const Real &r, ThreadCache *cache, const typename Api::Attr *attr) {
    void *const memory = cache->allocate(ThreadCache::kIterators, sizeof(Iterator));
    if (memory == nullptr) return nullptr;
    memset(memory, 0, sizeof(Iterator));
    Iterator *const it = static_cast<Iterator *>(memory);
    if (attr != nullptr && r.primitive_attr_clone(&it->attr_, attr) != 0) {
      ThreadCache::free_record(ThreadCache::kIterators, it);
      return nullptr;
    }
    it->mark_ = &kMark;
    return it;
  }

  // Brings the real iterator to `position`, creating it first if need be.
  Status advance_real(const Real &r, int position) {
    Status status = Status();
    if (real_ == nullptr) {
      status = Api::create(r, &real_, op_desc_, attr_, engine_, hint_);
      if (status != 0) real_ = nullptr;
      real_position_ = 0;
    }
    while (status == 0 && real_position_ < position) {
      status = r.primitive_desc_iterator_next(real_);
      if (status == 0) ++real_position_;
    }
    return status;
  }

  // Points the iterator at its implementation number `position`, a cached one if that is in scope.
  // `cache` may be nullptr when it is not.
  Status settle(const Real &r, ThreadCache *cache, int position, bool in_scope) {
    Descriptor *const canonical_hint = find_descriptor(hint_);
    const Operation operation = {r, op_desc_, attr_, engine_, hint_, canonical_hint, position};
    const auto advance = [&] { return advance_real(r, position); };
    Descriptor *found = nullptr;
    const Status status =
        in_scope
            ? find_or_create(cache, op_, Implementation(operation, cache, this), nullptr, &found)
        : cache != nullptr ? create_timed(cache, op_, advance)
                           : advance();
    if (status != 0) return status;
    if (current_ != nullptr) ThreadCache::release(current_);
    current_ = found;
    position_ = position;
    if (found != nullptr) tell_deconvolution(r, cache, found, canonical_hint, op_desc_);
    return Status();
  }

  static const char kMark = 0;

  // An iterator of ours over implementations that may all be known already: the real iterator is
  // created when one is not. Like the real one it stores the addresses of the caller's op_desc and
  // hint and copies the attributes. Its first word tells it from a real iterator, whose first word
  // is a small number.
  const void *mark_;
  RealIterator *real_;
  int real_position_;
  int position_;
  bool ended_;
  Descriptor *current_;  // with a reference of ours; nullptr: ask the real iterator
  Op op_;
  const void *op_desc_;
  typename Api::Attr *attr_;
  typename Api::Engine *engine_;
  const mkldnn_primitive_desc *hint_;
};

template <class Api>
const char Iterator<Api>::kMark;

}  // namespace opcache

#endif  // OPCACHE_SHARED_ITERATORS_H_
