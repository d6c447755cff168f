// The bound on memory: what of a thread's cache it is on, and what goes first. Idle primitives and
// the descriptors of the table count; of them all, whatever operator they are of, the least
// recently used goes first, and nothing that a caller holds.
// The bound is for all threads together, but each can destroy only its own: as with the capacity,
// one that has no more than its share keeps it.
#include <algorithm>

#include "api0/real.h"
#include "cache/cache.h"
#include "settings/settings.h"

namespace opcache {

namespace {

// Over all threads that count. Signed: while threads add and subtract, a reader may see either
// first.
std::atomic<ptrdiff_t> g_kept_bytes(0);

Op op_of(const Descriptor *d) { return static_cast<Op>(d->op.load(std::memory_order_relaxed)); }

}  // namespace

void ThreadCache::charge(std::atomic<size_t> *account, size_t bytes) {
  account->store(account->load(std::memory_order_relaxed) + bytes, std::memory_order_relaxed);
  g_kept_bytes.fetch_add(static_cast<ptrdiff_t>(bytes), std::memory_order_relaxed);
}

void ThreadCache::discharge(std::atomic<size_t> *account, size_t bytes) {
  account->store(account->load(std::memory_order_relaxed) - bytes, std::memory_order_relaxed);
#ifdef OPCACHE_FAULT_MEMORY_KEPT_ON_THE_BOOKS
  return;
#endif
  g_kept_bytes.fetch_sub(static_cast<ptrdiff_t>(bytes), std::memory_order_relaxed);
}

// Counts what is there when a bound comes, and forgets the sums when it goes.
void ThreadCache::count_bytes() {
  const bool bounded = memory_bound() != kNoMemoryBound;
  if (bounded == bounded_) return;
  bounded_ = bounded;
  if (!bounded) {
    discharge(&idle_bytes_, idle_bytes_.load(std::memory_order_relaxed));
    discharge(&descriptor_bytes_, descriptor_bytes_.load(std::memory_order_relaxed));
    return;
  }
  for (Descriptor *d = descriptors_.first(); d != nullptr; d = d->recency.next) {
    charge(&descriptor_bytes_, d->bytes);
    for (Primitive *p = d->first_idle; p != nullptr; p = p->next) charge(&idle_bytes_, p->bytes);
  }
  for (Primitive *p = idle_.last(); p != nullptr; p = p->recency.previous) p->used = ++clock_;
}

// A primitive that has just become idle; it may go at once.
void ThreadCache::charge_idle(Primitive *p) {
  p->used = ++clock_;
  // Memory objects go with their descriptor.
  if (p->bindings == 0) touch(p->descriptor);
  charge(&idle_bytes_, p->bytes);
  keep_within_memory(kLooks);
}

void ThreadCache::touch(Descriptor *d) {
  descriptors_.touch(d);
  d->used = ++clock_;
}

bool ThreadCache::over_memory() const {
  const size_t own = idle_bytes_.load(std::memory_order_relaxed) +
                     descriptor_bytes_.load(std::memory_order_relaxed);
  const size_t bound = memory_bound();
  const ptrdiff_t kept = g_kept_bytes.load(std::memory_order_relaxed);
  return kept > 0 && static_cast<size_t>(kept) > bound && own > share_of(bound);
}

// One that can give something, and was used before `primitive` was (nullptr: at any time).
Descriptor *ThreadCache::least_recently_used_descriptor(const Primitive *primitive, size_t looks) {
  Descriptor *d = descriptors_.last();
  // What comes to the front is not to be met again.
  for (size_t left = std::min(looks, descriptors_.size()); left > 0; --left) {
    if (primitive != nullptr && d->used > primitive->used) return nullptr;
    // A descriptor stays as long as its primitives; memory objects are all alike and go with it.
    const bool gives = d->first_idle != nullptr ? op_of(d) == kMemory : unused(d);
    if (gives) return d;
    Descriptor *const newer = d->recency.previous;
    touch(d);  // in use, or its primitives were used later
    d = newer;
  }
  return nullptr;
}

void ThreadCache::keep_within_memory(size_t looks) {
  // In the middle of a creation, called back by the real library: the next call will.
  if (busy) return;
#ifdef OPCACHE_FAULT_EVICT_LIVE
  if (over_memory() && newest_ != nullptr) real()->primitive_destroy(newest_->real);
  newest_ = nullptr;
#endif
  while (over_memory()) {
    Primitive *const p = idle_.last();
#ifdef OPCACHE_FAULT_RECENCY_BY_KIND
    Descriptor *const d = p != nullptr ? nullptr : least_recently_used_descriptor(p, looks);
#else
    Descriptor *const d = least_recently_used_descriptor(p, looks);
#endif
    if (p == nullptr && d == nullptr) return;
    counters_.memory_evictions.add(1);
    if (d == nullptr) {
      evict_last();
      continue;
    }
    counters_.ops[op_of(d)][kEvictions].add(1);
    if (d->first_idle != nullptr) {
      destroy_idle(d->first_idle);
    } else {
      drop(d);
    }
  }
}

}  // namespace opcache
