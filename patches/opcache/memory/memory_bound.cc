// The bound on memory: which objects of a thread's cache count, and the order of their eviction.
// Idle primitives and the descriptors of the table count; of them all, whatever operator they are
// of, the least recently used is evicted first, and nothing that a caller references. The bound is
// for all threads together, but each can destroy only its own: as with the capacity, one that has
// no more than its share evicts nothing.
#include <algorithm>

#include "cache/registry.h"
#include "cache/thread_cache.h"
#include "settings/settings.h"

namespace opcache {

void ThreadCache::add_bytes(Counter *sum, size_t bytes) {
  sum->add(bytes);
  add(&g_totals.evictable_bytes, static_cast<ptrdiff_t>(bytes));
}

void ThreadCache::subtract_bytes(Counter *sum, size_t bytes) {
  sum->subtract(bytes);
  subtract(&g_totals.evictable_bytes, bytes);
}

// Counts what is there when a bound comes, and forgets the sums when it goes.
void ThreadCache::count_bytes() {
  const bool bounded = memory_bound() != kNoMemoryBound;
  if (bounded == bounded_) return;
  bounded_ = bounded;
  if (!bounded) {
    subtract_bytes(&owner_->idle_bytes, owner_->idle_bytes.get());
    subtract_bytes(&owner_->descriptor_bytes, owner_->descriptor_bytes.get());
    return;
  }
  for (Descriptor *d = descriptors_.first(); d != nullptr; d = d->recency.next) {
    add_bytes(&owner_->descriptor_bytes, d->bytes);
    for (Primitive *p = d->first_idle; p != nullptr; p = p->next)
      add_bytes(&owner_->idle_bytes, p->bytes);
  }
  for (Primitive *p = idle_.last(); p != nullptr; p = p->recency.previous) p->used = ++clock_;
}

// Of a primitive that has just become idle; it may go at once.
void ThreadCache::add_idle_bytes(Primitive *p) {
  p->used = ++clock_;
  // Memory objects go with their descriptor.
  if (p->memory_object) touch(p->descriptor);
  add_bytes(&owner_->idle_bytes, p->bytes);
  enforce_memory(kScanLimit);
}

void ThreadCache::touch(Descriptor *d) {
  descriptors_.touch(d);
  d->used = ++clock_;
}

bool ThreadCache::over_memory() const {
  const size_t bound = memory_bound();
  return value_of(g_totals.evictable_bytes) > bound &&
         owner_->idle_bytes.get() + owner_->descriptor_bytes.get() > share_of(bound);
}

// One that can give something, and was used before `primitive` was (nullptr: at any time).
Descriptor *ThreadCache::least_recently_used_descriptor(const Primitive *primitive,
                                                        size_t scan_limit) {
  Descriptor *d = descriptors_.last();
  // What comes to the front is not to be met again.
  for (size_t left = std::min<size_t>(scan_limit, owner_->descriptors.get()); left > 0; --left) {
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

void ThreadCache::enforce_memory(size_t scan_limit) {
  // In the middle of a creation, called back by the real library: the next call will.
  if (busy) return;
  while (over_memory()) {
    Primitive *const p = idle_.last();
    Descriptor *const d = least_recently_used_descriptor(p, scan_limit);
    if (p == nullptr && d == nullptr) return;
    counters().memory_evictions.add(1);
    if (d == nullptr) {
      evict_last();
      continue;
    }
    counters().ops[op_of(d)][kEvictions].add(1);
    if (d->first_idle != nullptr) {
      destroy_idle(d->first_idle);
    } else {
      drop(d);
    }
  }
}

}  // namespace opcache
