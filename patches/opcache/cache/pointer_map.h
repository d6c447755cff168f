// Which handles are ours: a hash map from the address that the real library gave out to our record.
// find() takes no lock and may run at any time on any thread; insert() and erase() are rare (a real
// creation or destruction stands beside each) and take a mutex.
// A caller of find(p) has the handle p, so p itself is never inserted or erased meanwhile; the
// sequence number only guards against other entries being moved under the search.
#ifndef OPCACHE_CACHE_POINTER_MAP_H_
#define OPCACHE_CACHE_POINTER_MAP_H_

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <atomic>

#include "lock.h"

namespace opcache {

template <class T>
class PointerMap {
 public:
  constexpr PointerMap() : table_(0), sequence_(0), size_(0), mutex_(PTHREAD_MUTEX_INITIALIZER) {}

  T *find(const void *key) const {
    for (;;) {
      const uint64_t before = sequence_.load(std::memory_order_acquire);
      const Table t = table();
      if (t.slots == nullptr) return nullptr;
      for (size_t i = slot_of(key, t);; i = (i + 1) & t.mask) {
        const void *at = t.slots[i].key.load(std::memory_order_acquire);
        if (at == key) {
          T *value = t.slots[i].value.load(std::memory_order_acquire);
          if (settled(before)) return value;
          break;
        }
        if (at == nullptr) {
          if (settled(before)) return nullptr;
          break;
        }
      }
    }
  }

  // False when memory is short: nothing was inserted.
  bool insert(const void *key, T *value) {
    const Lock lock(&mutex_);
    if (table().slots == nullptr || (size_ + 1) * 2 > table().mask + 1) {
      if (!grow()) return false;
    }
    put(table(), key, value);
    ++size_;
    return true;
  }

  void erase(const void *key) {
    const Lock lock(&mutex_);
    const Table t = table();
    if (t.slots == nullptr) return;
    size_t hole = slot_of(key, t);
    for (;; hole = (hole + 1) & t.mask) {
      const void *at = t.slots[hole].key.load(std::memory_order_relaxed);
      if (at == nullptr) return;
      if (at == key) break;
    }
    sequence_.fetch_add(1, std::memory_order_acq_rel);
    // Close the hole, so that no tombstones pile up in a process that runs for weeks.
    for (size_t i = (hole + 1) & t.mask;; i = (i + 1) & t.mask) {
      const void *at = t.slots[i].key.load(std::memory_order_relaxed);
      if (at == nullptr) break;
      if (((i - slot_of(at, t)) & t.mask) >= ((i - hole) & t.mask)) {
        t.slots[hole].value.store(t.slots[i].value.load(std::memory_order_relaxed),
                                  std::memory_order_release);
        t.slots[hole].key.store(at, std::memory_order_release);
        hole = i;
      }
    }
    t.slots[hole].key.store(nullptr, std::memory_order_release);
    // What stays behind would hide a leak from LeakSanitizer.
    t.slots[hole].value.store(nullptr, std::memory_order_relaxed);
    sequence_.fetch_add(1, std::memory_order_acq_rel);
    --size_;
  }

  // For the order of locks around fork.
  pthread_mutex_t *mutex() { return &mutex_; }

 private:
  struct Slot {
    std::atomic<const void *> key;
    std::atomic<T *> value;
  };
  struct Table {
    Slot *slots;
    size_t mask;
  };

  // Slots and size in one word, so that a search reads one line here and one in the slots.
  Table table() const {
    const uintptr_t word = table_.load(std::memory_order_acquire);
    const Table t = {reinterpret_cast<Slot *>(word & ~uintptr_t(kAlignment - 1)),
                     (size_t(1) << (word & (kAlignment - 1))) - 1};
    return t;
  }

  static size_t slot_of(const void *key, const Table &t) {
    // Fibonacci hashing; the low bits of a heap address are always zero.
    return static_cast<size_t>((reinterpret_cast<uintptr_t>(key) >> 4) * 0x9e3779b97f4a7c15ull >>
                               20) &
           t.mask;
  }

  bool settled(uint64_t before) const {
    std::atomic_thread_fence(std::memory_order_acquire);
    return (before & 1) == 0 && sequence_.load(std::memory_order_relaxed) == before;
  }

  static void put(const Table &t, const void *key, T *value) {
    size_t i = slot_of(key, t);
    while (t.slots[i].key.load(std::memory_order_relaxed) != nullptr) i = (i + 1) & t.mask;
    t.slots[i].value.store(value, std::memory_order_relaxed);
    t.slots[i].key.store(key, std::memory_order_release);
  }

  bool grow() {
    const Table old = table();
    uintptr_t log2 = kFirstLog2;
    while (old.slots != nullptr && (size_t(1) << log2) <= old.mask + 1) ++log2;
    void *memory = nullptr;
    const size_t bytes = (size_t(1) << log2) * sizeof(Slot);
    if (posix_memalign(&memory, kAlignment, bytes) != 0) return false;
    memset(memory, 0, bytes);
    const Table t = {static_cast<Slot *>(memory), (size_t(1) << log2) - 1};
    for (size_t i = 0; old.slots != nullptr && i <= old.mask; ++i) {
      const void *key = old.slots[i].key.load(std::memory_order_relaxed);
      if (key != nullptr) put(t, key, old.slots[i].value.load(std::memory_order_relaxed));
    }
    // The old table is left to readers that may still be in it; doubling bounds the waste.
    table_.store(reinterpret_cast<uintptr_t>(memory) | log2, std::memory_order_release);
    return true;
  }

  static const uintptr_t kAlignment = 64;  // room for the logarithm of a size in the low bits
  static const uintptr_t kFirstLog2 = 10;

  std::atomic<uintptr_t> table_;
  std::atomic<uint64_t> sequence_;  // odd while entries are being moved
  size_t size_;                     // under mutex_
  pthread_mutex_t mutex_;
};

}  // namespace opcache

#endif  // OPCACHE_CACHE_POINTER_MAP_H_
