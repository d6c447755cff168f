#include "cache/thread_cache.h"

#include <stdlib.h>
#include <string.h>

#include <new>
#include <utility>

#include "cache/registry.h"
#include "in_tree.h"
#include "lock.h"
#include "report/message.h"
#include "settings/settings.h"

namespace opcache {

namespace {

__thread ThreadCache *t_cache OPCACHE_TLS_MODEL = nullptr;

std::atomic<uint64_t> g_next_id(1);

// A thread-specific key, not a thread_local destructor: those of MXNet, which release cached
// primitives, run before it.
pthread_key_t g_key;
bool g_usable;
pthread_once_t g_once = PTHREAD_ONCE_INIT;

// Not in its function, where some compilers guard it by the C++ runtime.
std::atomic<bool> g_said[kBypassCount];

}  // namespace

ThreadCache::ThreadCache(Owner *owner)
    : busy(false),
      last_convolution(nullptr),
      last_convolution_used(false),
      owner_(owner),
      generation_(g_settings.generation.load(std::memory_order_acquire)),
      clear_generation_(g_settings.clear_generation.load(std::memory_order_relaxed)),
      idle_memory_(0),
      bounded_(memory_bound() != kNoMemoryBound),
      clock_(0),
      freelists_(),
      calls_(0),
      given_trial_(Registry::get().next_trial()),
      trial_(given_trial_),
      avoided_(0),
      created_(0) {
  if (on_trial()) counters().bypasses[kTrial].add(1);
}

ThreadCache::~ThreadCache() {
  for (void *record : freelists_) free(record);
}

void *ThreadCache::allocate(Freelist kind, size_t bytes) {
  void *const memory = freelists_[kind];
  freelists_[kind] = nullptr;
  return memory != nullptr ? memory : malloc(bytes);
}

void ThreadCache::free_record(Freelist kind, void *memory) {
  ThreadCache *const cache = mine();
  if (cache != nullptr) std::swap(cache->freelists_[kind], memory);
  free(memory);
}

bool ThreadCache::usable() {
  pthread_once(&g_once, [] {
    g_usable = pthread_key_create(&g_key, end_of_thread) == 0 && Registry::get().survives_forks();
  });
  if (g_usable) return true;
  static std::atomic<bool> said(false);
  if (!said.exchange(true)) {
    message("the system has no thread-specific key left, or no memory; not caching");
  }
  return false;
}

ThreadCache *ThreadCache::mine() {
  ThreadCache *const cache = t_cache;
  if (cache == nullptr) return create_mine();
  if (cache->generation_ != g_settings.generation.load(std::memory_order_relaxed)) {
    cache->apply_settings();
  }
  return cache;
}

void ThreadCache::apply_settings_here() {
  if (t_cache != nullptr) mine();
}

ThreadCache *ThreadCache::create_mine() {
  Owner *const owner = usable() ? Registry::get().add() : nullptr;
  if (owner == nullptr) return nullptr;
  void *const memory = malloc(sizeof(ThreadCache));
  ThreadCache *const cache = memory != nullptr ? new (memory) ThreadCache(owner) : nullptr;
  if (cache == nullptr || pthread_setspecific(g_key, cache) != 0) {
    if (cache != nullptr) cache->~ThreadCache();
    free(memory);
    Registry::get().remove(owner);
    return nullptr;
  }
  t_cache = cache;
  return cache;
}

void ThreadCache::end_of_thread(void *memory) {
  ThreadCache *const cache = static_cast<ThreadCache *>(memory);
  t_cache = nullptr;
  cache->judge();
  cache->shut_down();
  Registry::get().remove(cache->owner_);
  cache->~ThreadCache();
  free(cache);
}

bool ThreadCache::pass() {
  if (!on_trial()) return false;
  --trial_;
  return true;
}

// A thread tells nothing that is still on trial, or that had nothing to cache.
void ThreadCache::judge() const {
  if (on_trial() || avoided_ + created_ == 0) return;
  uint64_t asked = given_trial_;
  for (const auto &op : owner_->counters.ops) {
    asked += op[kDescriptorsAvoided].get() + op[kDescriptorsCreated].get() +
             op[kPrimitivesAvoided].get() + op[kPrimitivesCreated].get();
  }
  Registry::get().judge(avoided_ >= created_, asked);
}

// What is idle is destroyed on the thread that created it. What callers still hold stays valid and
// is destroyed when they release it.
void ThreadCache::shut_down() {
  const Lock lock(&owner_->mutex);
  for (Primitive *p = owner_->returned; p != nullptr;) {
    Primitive *const next = p->next;
    take_back(p);
    p = next;
  }
  for (Descriptor *d = descriptors_.first(); d != nullptr;) {
    Descriptor *const next = d->recency.next;
    while (d->first_idle != nullptr) destroy_idle(d->first_idle);
    if (bounded_) subtract_bytes(&owner_->descriptor_bytes, d->bytes);
    d->owner.store(nullptr, std::memory_order_relaxed);
    // One with live primitives keeps the table's reference; the last of them drops it.
    if (d->live_primitives == 0) drop_reference(d);
    d = next;
  }
  for (Primitive *p = Registry::get().take_orphans(); p != nullptr;) {
    Primitive *const next = p->next;
    destroy(p);
    p = next;
  }
  tell_idle_bytes(0);
  owner_->descriptors.set(0);
  owner_->ended.store(true, std::memory_order_release);
}

Descriptor *ThreadCache::find(const Key &key, uint64_t hash) {
  Descriptor *const d = table_.find(
      hash, [&](const Descriptor *other) { return key.equals(other->key, other->key_size); });
  if (d != nullptr) {
    d->references.fetch_add(1, std::memory_order_relaxed);
    avoided_ += op_of(d) != kMemory;
    // Far from the bound the order does not matter yet, and maintaining it costs three cache
    // misses: it is maintained from half of the capacity on.
    if (bounded_ || capacity() < 64 || value_of(g_totals.descriptors) >= capacity() / 2) touch(d);
  }
  return d;
}

Descriptor *ThreadCache::insert(const Key &key, uint64_t hash, const Created &created) {
  evict_idle_descriptors(1, kScanLimit);
  const size_t record = sizeof(Descriptor) + key.size() * sizeof(uint32_t);
  Descriptor *const d = table_.reserve(owner_->descriptors.get() + 1)
                            ? static_cast<Descriptor *>(allocate_record(record))
                            : nullptr;
  if (d == nullptr) return nullptr;
  d->real = created.real;
  d->owner.store(owner_, std::memory_order_relaxed);
  d->references.store(2, std::memory_order_relaxed);  // the table's and the caller's
  d->op.store(created.op, std::memory_order_relaxed);
  d->id = g_next_id.fetch_add(1, std::memory_order_relaxed);
  d->hash = hash;
  d->team = created.team;
  d->inputs = created.inputs;
  d->outputs = created.outputs;
  d->descriptor_ticks = created.ticks;
  d->bytes = heap_bytes(record) + created.bytes;
  d->key_size = key.size();
  memcpy(d->key, key.words(), key.size() * sizeof(uint32_t));
  if (!add_handle(d)) {
    free(d);
    return nullptr;
  }
  table_.insert(d);
  created_ += created.op != kMemory;
  descriptors_.push_front(d);
  d->used = ++clock_;
  owner_->descriptors.add(1);
  if (bounded_) {
    add_bytes(&owner_->descriptor_bytes, d->bytes);
    enforce_memory(kScanLimit);
  }
  return d;
}

Primitive *ThreadCache::acquire(Descriptor *d) {
  if (owner_->has_returned.load(std::memory_order_acquire)) {
    // What is taken back may evict others, but not this one: the table alone may reference it.
    retain(d);
    take_returned();
    d->references.fetch_sub(1, std::memory_order_relaxed);
  }
  Primitive *const p = d->first_idle;
  if (p == nullptr) return nullptr;
  d->first_idle = p->next;
  unlist_idle(p);
  avoided_ += !p->memory_object;
  ++d->live_primitives;
  ++owner_->references;
  return p;
}

bool ThreadCache::adopt(Primitive *p) {
  p->owner = owner_;
  if (!add_handle(p)) return false;
  created_ += !p->memory_object;
  ++p->descriptor->live_primitives;
  ++owner_->references;
  return true;
}

// A released primitive of this thread becomes idle; beyond the bound the least recently used goes.
void ThreadCache::take_back(Primitive *p) {
  Descriptor *const d = p->descriptor;
  --d->live_primitives;
  --owner_->references;
  if (p->substitute != nullptr && p->foreign_substitute && may_use_scratchpad(op_of(d))) {
    Registry::get().keep_orphan(p);
    return;
  }
  destroy_additions(p);
  if (p->memory_object && idle_memory_ >= capacity()) {
    counters().ops[op_of(d)][kDestroyTicks].add(destroy(p));
    return;
  }
  p->next = d->first_idle;
  d->first_idle = p;
  // Memory objects are all alike and cheap: which of them is cached does not matter, so they stay
  // out of the list, whose upkeep costs more cache misses than they save.
  if (p->memory_object) {
    ++idle_memory_;
    if (bounded_) add_idle_bytes(p);
    return;
  }
  idle_.push_front(p);
  owner_->idle_primitives.add(1);
  owner_->idle_primitive_bytes.add(p->bytes);
  tell_idle_bytes(kToldStep);
  if (bounded_) add_idle_bytes(p);  // and p may be gone
  evict_idle_primitives();
}

void ThreadCache::take_returned() {
  Primitive *p;
  {
    const Lock lock(&owner_->mutex);
    p = owner_->returned;
    owner_->returned = nullptr;
    owner_->has_returned.store(false, std::memory_order_relaxed);
  }
  while (p != nullptr) {
    Primitive *const next = p->next;
    take_back(p);
    p = next;
  }
}

void ThreadCache::release(Descriptor *d) {
  ThreadCache *const mine = t_cache;
  const bool enforce = mine != nullptr && mine->bounded_ && mine->owns(d);
  drop_reference(d);
  if (enforce) mine->enforce_memory(kScanLimit);  // it may be idle now
}

namespace {

// On another thread than the owner's, which takes it later. False when the owner has ended.
bool give_to_owner(Owner *owner, Primitive *p) {
  if (owner->ended.load(std::memory_order_acquire)) return false;
  const Lock lock(&owner->mutex);
  if (owner->ended.load(std::memory_order_relaxed)) return false;
  p->next = owner->returned;
  owner->returned = p;
  owner->has_returned.store(true, std::memory_order_release);
  return true;
}

}  // namespace

void ThreadCache::release(Primitive *p) {
  Owner *const owner = p->owner;
  ThreadCache *const mine = t_cache;
  if (mine != nullptr && mine->owns(p)) {
    mine->take_back(p);
    return;
  }
  if (give_to_owner(owner, p)) return;
  // Its thread is gone. Without a cache it would be destroyed here and now; see records.h.
  Descriptor *const d = p->descriptor;
  const Op op = op_of(d);
  const bool last_of_descriptor = Registry::get().release_orphan(owner, d);
  if (mine != nullptr && may_use_scratchpad(op)) {
    Registry::get().keep_orphan(p);
  } else {
    const uint64_t destroy_ticks = destroy(p);
    if (mine != nullptr) mine->counters().ops[op][kDestroyTicks].add(destroy_ticks);
  }
  if (last_of_descriptor) drop_reference(d);
}

void count_bypass(ThreadCache *cache, Bypass reason) {
  if (cache != nullptr) cache->counters().bypasses[reason].add(1);
  // Not describing something is worth a line, once; an odd input or a full buffer is not.
  if ((reason == kUnknownKind || reason == kUnknownDescription) && !g_said[reason].exchange(true)) {
    message("%s: passing it through to MKL-DNN (said once; counted in the statistics)",
            bypass_name(reason));
  }
}

}  // namespace opcache
