#include "cache/cache.h"

#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include <algorithm>

#include "api0/real.h"
#include "api0/shadow.h"
#include "in_tree.h"
#include "report/message.h"
#include "settings/options.h"
#include "settings/settings.h"

namespace opcache {

namespace {

__thread ThreadCache *t_cache OPCACHE_TLS_MODEL = nullptr;

PointerMap<Descriptor> g_descriptors;
PointerMap<Primitive> g_primitives;
std::atomic<uint64_t> g_next_serial(1);
// Live and idle together; the bound is on these. Memory objects are not among the primitives: MXNet
// keeps one for every array in a layout of MKL-DNN's, so their bound is on the idle ones alone.
// Signed: a forked child writes off what other threads had idle, and a handle of one of those that
// is released later is taken off twice.
std::atomic<ptrdiff_t> g_primitive_count(0);
std::atomic<ptrdiff_t> g_descriptor_count(0);
std::atomic<ptrdiff_t> g_primitive_bytes(0);  // live and idle, memory objects among them
// Guards what is counted of the live primitives whose thread is gone: any thread releases them.
pthread_mutex_t g_orphans_mutex = PTHREAD_MUTEX_INITIALIZER;

bool reached(const std::atomic<ptrdiff_t> &count, size_t bound) {
  return count.load(std::memory_order_relaxed) >= static_cast<ptrdiff_t>(bound);
}

size_t population_of(const std::atomic<ptrdiff_t> &count) {
  const ptrdiff_t n = count.load(std::memory_order_relaxed);
  return n > 0 ? static_cast<size_t>(n) : 0;
}

const Real &lib() { return *real(); }

#ifdef OPCACHE_FAULT_STALE_ENTRY
bool g_evicted = false;
#endif

Op op_of(const Descriptor *d) { return static_cast<Op>(d->op.load(std::memory_order_relaxed)); }

// Counts on the calling thread, which is not always the owner.
void count(Op op, OpField field, uint64_t n) {
  if (t_cache != nullptr) t_cache->counters().ops[op][field].add(n);
}

void drop_substitute(Primitive *p) {
  if (p->substitute == nullptr) return;
  lib().primitive_destroy(p->substitute);
  p->substitute = nullptr;
}

// Does not touch p->descriptor, which may be gone by now.
void destroy_primitive(Primitive *p, Op op) {
  drop_substitute(p);
  g_primitives.erase(p->real);
  if (p->bindings > 0) g_primitive_count.fetch_sub(1, std::memory_order_relaxed);
  g_primitive_bytes.fetch_sub(static_cast<ptrdiff_t>(p->bytes), std::memory_order_relaxed);
  const uint64_t start = ticks();
#ifndef OPCACHE_FAULT_LEAK_PRIMITIVE
  lib().primitive_destroy(p->real);
#endif
  for (int i = 0; i < p->bindings; ++i) lib().primitive_destroy(p->binding[i].own);
  count(op, kDestroyTicks, ticks() - start);
  free(p);
}

// Drops one reference; the last one frees.
void drop_reference(Descriptor *d) {
  if (d->references.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  for (int i = 0; i < d->layout_count; ++i) drop_reference(d->layout_of[i]);
  g_descriptors.erase(d->real);
  if (shadowing()) forget_descriptor(d->real);
  g_descriptor_count.fetch_sub(1, std::memory_order_relaxed);
  lib().primitive_desc_destroy(d->real);
#ifndef OPCACHE_FAULT_LEAK_DESCRIPTOR
  free(d);
#endif
}

}  // namespace

// All thread caches, and what survives of the threads that ended.
class Registry {
 public:
  static Registry &get() {
    // Has no destructor: threads may end after static destructors have run.
    static Registry registry;
    return registry;
  }

  // Whether threads can be told when they end, and forks be prepared: without that, nothing may be
  // kept. Said once if not.
  bool usable() {
    if (usable_) return true;
    if (!said_.exchange(true)) {
      message("the system has no thread-specific key left, or no memory; not caching");
    }
    return false;
  }

  pthread_key_t key() const { return key_; }

  // How many share the bound.
  size_t threads() const {
    const size_t n = threads_.load(std::memory_order_relaxed);
    return n > 0 ? n : 1;
  }

  void add(ThreadCache *cache) {
    pthread_mutex_lock(&mutex_);
    cache->previous_ = nullptr;
    cache->next_ = first_;
    if (first_ != nullptr) first_->previous_ = cache;
    first_ = cache;
    threads_.fetch_add(1, std::memory_order_relaxed);
    pthread_mutex_unlock(&mutex_);
  }

  // Keeps the counters of a thread that ends.
  void remove(ThreadCache *cache) {
    pthread_mutex_lock(&mutex_);
    ended_.add(cache->counters_);
    (cache->previous_ != nullptr ? cache->previous_->next_ : first_) = cache->next_;
    if (cache->next_ != nullptr) cache->next_->previous_ = cache->previous_;
    threads_.fetch_sub(1, std::memory_order_relaxed);
    pthread_mutex_unlock(&mutex_);
  }

  void sum(Counters *total, Population *population) {
    pthread_mutex_lock(&mutex_);
    total->add(ended_);
    for (ThreadCache *c = first_; c != nullptr; c = c->next_) {
      total->add(c->counters_);
      population->idle_primitives += c->idle_primitives_.load(std::memory_order_relaxed);
      population->idle_bytes += c->idle_bytes_.load(std::memory_order_relaxed);
      population->descriptor_bytes += c->descriptor_bytes_.load(std::memory_order_relaxed);
      ++population->threads;
    }
    pthread_mutex_unlock(&mutex_);
  }

  Counters base;  // what reset_stats() subtracts; under base_mutex
  pthread_mutex_t base_mutex;

 private:
  Registry() : said_(false), threads_(0), first_(nullptr) {
    pthread_mutex_init(&mutex_, nullptr);
    pthread_mutex_init(&base_mutex, nullptr);
    // A thread-specific key, not a thread_local destructor: those of MXNet, which release cached
    // primitives, run before it.
    usable_ = pthread_key_create(&key_, ThreadCache::end_of_thread) == 0;
#ifndef OPCACHE_FAULT_NO_ATFORK
    usable_ =
        usable_ && pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child) == 0;
#endif
  }

  static void before_fork() {
    Registry &r = get();
    lock_settings();
    pthread_mutex_lock(&r.base_mutex);
    pthread_mutex_lock(&r.mutex_);
    for (ThreadCache *c = r.first_; c != nullptr; c = c->next_) pthread_mutex_lock(&c->mutex_);
#ifndef OPCACHE_FAULT_ORPHANS_AT_FORK
    pthread_mutex_lock(&g_orphans_mutex);
#endif
    g_descriptors.lock();
    g_primitives.lock();
    lock_shadows();
  }

  static void after_fork_in_parent() {
    Registry &r = get();
    unlock_shadows();
    g_primitives.unlock();
    g_descriptors.unlock();
#ifndef OPCACHE_FAULT_ORPHANS_AT_FORK
    pthread_mutex_unlock(&g_orphans_mutex);
#endif
    for (ThreadCache *c = r.first_; c != nullptr; c = c->next_) pthread_mutex_unlock(&c->mutex_);
    pthread_mutex_unlock(&r.mutex_);
    pthread_mutex_unlock(&r.base_mutex);
    unlock_settings();
  }

  // The child has one thread. What the others owned can no longer go home: their idle primitives
  // are abandoned (their scratchpads belonged to threads that are gone) and their live ones are
  // destroyed where they are released.
  static void after_fork_in_child() {
    after_fork_in_parent();
    Registry &r = get();
    for (ThreadCache *c = r.first_; c != nullptr;) {
      ThreadCache *const next = c->next_;
      if (c != t_cache) {
        c->orphaned_.store(true, std::memory_order_relaxed);
        r.remove(c);
        g_primitive_count.fetch_sub(
            static_cast<ptrdiff_t>(c->idle_primitives_.load(std::memory_order_relaxed)),
            std::memory_order_relaxed);
        g_descriptor_count.fetch_sub(
            static_cast<ptrdiff_t>(c->descriptor_count_.load(std::memory_order_relaxed)),
            std::memory_order_relaxed);
        const size_t idle = c->idle_bytes_.load(std::memory_order_relaxed);
        g_primitive_bytes.fetch_sub(static_cast<ptrdiff_t>(idle), std::memory_order_relaxed);
        c->discharge(&c->idle_bytes_, idle);
        c->discharge(&c->descriptor_bytes_, c->descriptor_bytes_.load(std::memory_order_relaxed));
      }
      c = next;
    }
    // The parent reports its work: what the processes of a job report can be added up.
    reset_stats();
  }

  pthread_mutex_t mutex_;
  bool usable_;
  std::atomic<bool> said_;
  pthread_key_t key_;
  std::atomic<size_t> threads_;
  ThreadCache *first_;
  Counters ended_;
};

ThreadCache::ThreadCache()
    : busy(false),
      last_convolution(nullptr),
      last_convolution_used(false),
      followed_(g_settings.demands.load(std::memory_order_acquire)),
      cleared_(g_settings.clears.load(std::memory_order_relaxed)),
      slots_(nullptr),
      mask_(0),
      idle_memory_(0),
      live_primitives_(0),
      idle_primitives_(0),
      descriptor_count_(0),
      bounded_(memory_bound() != kNoMemoryBound),
      clock_(0),
      idle_bytes_(0),
      descriptor_bytes_(0),
      has_returned_(false),
      returned_(nullptr),
      orphaned_(false),
      next_(nullptr),
      previous_(nullptr),
      calls_(0) {
  pthread_mutex_init(&mutex_, nullptr);
  for (void *&spare : spares_) spare = nullptr;
}

ThreadCache::~ThreadCache() {
  for (void *spare : spares_) free(spare);
}

void *ThreadCache::take_spare(Spare kind, size_t bytes) {
  void *const memory = spares_[kind];
  spares_[kind] = nullptr;
  return memory != nullptr ? memory : malloc(bytes);
}

void ThreadCache::give_spare(Spare kind, void *memory) {
  free(spares_[kind]);
  spares_[kind] = memory;
}

ThreadCache *ThreadCache::mine() {
  ThreadCache *const cache = t_cache;
  if (cache == nullptr) return make_mine();
  if (cache->followed_ != g_settings.demands.load(std::memory_order_relaxed)) cache->follow();
  return cache;
}

void ThreadCache::follow_settings() {
  if (t_cache != nullptr) mine();
}

ThreadCache *ThreadCache::make_mine() {
  if (!Registry::get().usable()) return nullptr;
  ThreadCache *cache = new (std::nothrow) ThreadCache;
  if (cache == nullptr) return nullptr;
  if (pthread_setspecific(Registry::get().key(), cache) != 0) {
    delete cache;
    return nullptr;
  }
  Registry::get().add(cache);
  t_cache = cache;
  return cache;
}

void ThreadCache::end_of_thread(void *cache) {
  t_cache = nullptr;
  static_cast<ThreadCache *>(cache)->shut_down();
}

void *allocate_record(size_t bytes) {
  void *memory = nullptr;
  if (posix_memalign(&memory, 64, bytes) != 0) return nullptr;
  memset(memory, 0, bytes);
  return memory;
}

Descriptor *ThreadCache::find(const Key &key, uint64_t hash) {
  if (slots_ == nullptr) return nullptr;
  for (size_t i = hash & mask_; slots_[i].descriptor != nullptr; i = (i + 1) & mask_) {
    Descriptor *d = slots_[i].descriptor;
    if (slots_[i].hash == hash && key.equals(d->key, d->key_size)) {
      d->references.fetch_add(1, std::memory_order_relaxed);
      // Far from the bound the order does not matter yet, and keeping it costs three cache misses:
      // it starts to be kept when half of the room is taken.
      if (bounded_ || capacity() < 64 || reached(g_descriptor_count, capacity() / 2)) touch(d);
      return d;
    }
  }
#ifdef OPCACHE_FAULT_STALE_ENTRY
  // As if the slot of an evicted entry led to another of its kind.
  for (Descriptor *d = descriptors_.first(); g_evicted && d != nullptr; d = d->recency.next) {
    if (d->key_size != key.size() || memcmp(d->key, key.words(), 6 * sizeof(uint32_t)) != 0)
      continue;
    d->references.fetch_add(1, std::memory_order_relaxed);
    return d;
  }
#endif
  return nullptr;
}

bool ThreadCache::grow() {
  const size_t used = descriptors_.size();
  if (slots_ != nullptr && (used + 1) * 2 <= mask_ + 1) return true;
  const size_t capacity = slots_ == nullptr ? 256 : 2 * (mask_ + 1);
  Slot *slots = static_cast<Slot *>(calloc(capacity, sizeof(Slot)));
  if (slots == nullptr) return false;
  for (size_t i = 0; slots_ != nullptr && i <= mask_; ++i) {
    if (slots_[i].descriptor == nullptr) continue;
    size_t j = slots_[i].hash & (capacity - 1);
    while (slots[j].descriptor != nullptr) j = (j + 1) & (capacity - 1);
    slots[j] = slots_[i];
  }
  free(slots_);
  slots_ = slots;
  mask_ = capacity - 1;
  return true;
}

void ThreadCache::erase_slot(Descriptor *d) {
  size_t hole = d->hash & mask_;
  while (slots_[hole].descriptor != d) hole = (hole + 1) & mask_;
  for (size_t i = (hole + 1) & mask_; slots_[i].descriptor != nullptr; i = (i + 1) & mask_) {
    if (((i - slots_[i].hash) & mask_) >= ((i - hole) & mask_)) {
      slots_[hole] = slots_[i];
      hole = i;
    }
  }
  slots_[hole].descriptor = nullptr;
}

Descriptor *ThreadCache::insert(const Key &key, uint64_t hash, mkldnn_primitive_desc_t real_pd,
                                Op op, uint64_t cost_ticks, size_t bytes) {
  evict_idle_descriptors(1, kLooks);
  const size_t record = sizeof(Descriptor) + key.size() * sizeof(uint32_t);
  Descriptor *d = grow() ? static_cast<Descriptor *>(allocate_record(record)) : nullptr;
  if (d == nullptr) return nullptr;
  d->real = real_pd;
  d->owner.store(this, std::memory_order_relaxed);
  d->references.store(2, std::memory_order_relaxed);  // the table's and the caller's
  d->op.store(op, std::memory_order_relaxed);
  d->serial = g_next_serial.fetch_add(1, std::memory_order_relaxed);
  d->hash = hash;
  // Not query_s32, which answers 0 when it fails.
  const bool known = lib().primitive_desc_query(real_pd, mkldnn_query_num_of_inputs_s32, 0,
                                                &d->inputs) == mkldnn_success &&
                     lib().primitive_desc_query(real_pd, mkldnn_query_num_of_outputs_s32, 0,
                                                &d->outputs) == mkldnn_success;
  d->descriptor_ticks = cost_ticks;
  d->bytes = heap_bytes(record) + bytes;
  d->key_size = key.size();
  memcpy(d->key, key.words(), key.size() * sizeof(uint32_t));
  if (!known || !g_descriptors.insert(real_pd, d)) {
    free(d);
    return nullptr;
  }
  g_descriptor_count.fetch_add(1, std::memory_order_relaxed);
  size_t i = hash & mask_;
  while (slots_[i].descriptor != nullptr) i = (i + 1) & mask_;
  slots_[i].hash = hash;
  slots_[i].descriptor = d;
  descriptors_.push_front(d);
  d->used = ++clock_;
  descriptor_count_.store(descriptors_.size(), std::memory_order_relaxed);
  if (bounded_) {
    charge(&descriptor_bytes_, d->bytes);
    keep_within_memory(kLooks);
  }
  return d;
}

Descriptor *ThreadCache::localize(Descriptor *other) {
  if (owns(other)) return other;
  Key &key = scratch_key();
  key.assign(other->key, other->key_size);
  Descriptor *d = find(key, other->hash);
  if (d == nullptr) {
    mkldnn_primitive_desc_t copy = nullptr;
    const uint64_t start = ticks();
    const Metering metering(&ledger_);
    if (lib().primitive_desc_clone(&copy, other->real) != mkldnn_success) return nullptr;
    const Op op = op_of(other);
    d = insert(key, other->hash, copy, op, ticks() - start, metering.bytes(kDescriptorPrice));
    if (d == nullptr) {
      lib().primitive_desc_destroy(copy);
      return nullptr;
    }
    d->maybe_deconvolution.store(other->maybe_deconvolution.load(std::memory_order_relaxed),
                                 std::memory_order_relaxed);
    counters_.ops[op][kDescriptorsCreated].add(1);
    counters_.ops[op][kCreateTicks].add(d->descriptor_ticks);
  }
  // The table keeps it: nothing of this thread's is evicted before the caller is done with it.
  d->references.fetch_sub(1, std::memory_order_relaxed);
  return d;
}

Primitive *ThreadCache::acquire(Descriptor *d) {
  if (has_returned_.load(std::memory_order_acquire)) {
    // What comes home may push others out, but not this one: the table alone may hold it.
    retain(d);
    drain_returned();
    d->references.fetch_sub(1, std::memory_order_relaxed);
  }
  Primitive *p = d->first_idle;
  if (p == nullptr) return nullptr;
  d->first_idle = p->next;
  forget_idle(p);
  ++d->live_primitives;
  add_live(1);
  return p;
}

bool ThreadCache::adopt(Primitive *p) {
  p->owner = this;
  if (!g_primitives.insert(p->real, p)) return false;
  if (p->bindings > 0) g_primitive_count.fetch_add(1, std::memory_order_relaxed);
  g_primitive_bytes.fetch_add(static_cast<ptrdiff_t>(p->bytes), std::memory_order_relaxed);
#ifdef OPCACHE_FAULT_EVICT_LIVE
  newest_ = p;
#endif
  ++p->descriptor->live_primitives;
  add_live(1);
  return true;
}

// How many primitives, and descriptors, a thread may keep although the bound is reached. It can
// destroy only its own: without a share, one thread that filled the cache and then sleeps would
// leave the others none.
size_t ThreadCache::share_of(size_t bound) {
  const size_t threads = Registry::get().threads();
  return threads == 1 ? 0 : bound / threads;
}

size_t ThreadCache::own_share() { return share_of(capacity()); }

void ThreadCache::make_room() {
  const size_t share = own_share();
  if (reached(g_primitive_count, capacity()) && idle_.size() >= share && idle_.last() != nullptr) {
    evict_last();
  }
}

// A released primitive of this thread becomes idle; beyond the bound the least recently used goes.
void ThreadCache::take_back(Primitive *p) {
  if (shadowing()) forget_primitive(p->real);  // here, where it was made
  drop_substitute(p);
  Descriptor *d = p->descriptor;
  --d->live_primitives;
  add_live(-1);
  if (p->bindings == 0 && idle_memory_ >= capacity()) {
    destroy_primitive(p, op_of(d));
    return;
  }
  p->next = d->first_idle;
  d->first_idle = p;
  // Memory objects are all alike and cheap: which of them is kept does not matter, so they stay out
  // of the list, whose upkeep costs more cache misses than they save.
  if (p->bindings == 0) {
    ++idle_memory_;
    if (bounded_) charge_idle(p);
    return;
  }
  idle_.push_front(p);
  idle_primitives_.store(idle_.size(), std::memory_order_relaxed);
  if (bounded_) charge_idle(p);  // and p may be gone
  evict_idle_primitives();
}

void ThreadCache::drain_returned() {
  pthread_mutex_lock(&mutex_);
  Primitive *p = returned_;
  returned_ = nullptr;
  has_returned_.store(false, std::memory_order_relaxed);
  pthread_mutex_unlock(&mutex_);
  while (p != nullptr) {
    Primitive *next = p->next;
    take_back(p);
    p = next;
  }
}

void ThreadCache::evict_idle_primitives() {
  const size_t share = own_share();
  while (reached(g_primitive_count, capacity() + 1) && idle_.size() > share &&
         idle_.last() != nullptr) {
    evict_last();
  }
}

// Takes a primitive off the books of the idle ones; the descriptor's list is the caller's business.
void ThreadCache::forget_idle(Primitive *p) {
  if (bounded_) discharge(&idle_bytes_, p->bytes);
  if (p->bindings == 0) {
    --idle_memory_;
    return;
  }
  idle_.remove(p);
  idle_primitives_.store(idle_.size(), std::memory_order_relaxed);
}

void ThreadCache::destroy_idle(Primitive *p) {
  Primitive **link = &p->descriptor->first_idle;
  while (*link != p) link = &(*link)->next;
  *link = p->next;
  forget_idle(p);
  destroy_primitive(p, op_of(p->descriptor));
}

void ThreadCache::evict_last() {
  count(op_of(idle_.last()->descriptor), kEvictions, 1);
  destroy_idle(idle_.last());
}

void ThreadCache::evict_idle_memory() {
  Descriptor *d = descriptors_.last();
  for (; d != nullptr && idle_memory_ > capacity(); d = d->recency.previous) {
    while (op_of(d) == kMemory && d->first_idle != nullptr && idle_memory_ > capacity()) {
      destroy_idle(d->first_idle);
    }
  }
}

// Makes room for so many more descriptors, least recently used first; those in use come to the
// front instead. No more than `looks` are looked at.
void ThreadCache::evict_idle_descriptors(size_t room, size_t looks) {
  const size_t share = own_share();
  Descriptor *d = descriptors_.last();
  // What comes to the front is not to be met again.
  for (size_t left = std::min(looks, descriptors_.size());
       left > 0 && descriptors_.size() + room > share &&
       reached(g_descriptor_count, capacity() + 1 - room);
       --left) {
    Descriptor *const newer = d->recency.previous;
    if (unused(d)) {
      count(op_of(d), kEvictions, 1);
      drop(d);
    } else {
      touch(d);
    }
    d = newer;
  }
}

// Does what the settings demand since this was last called.
void ThreadCache::follow() {
  // In the middle of a creation, called back by the real library: later.
  if (busy) return;
  followed_ = g_settings.demands.load(std::memory_order_acquire);
  count_bytes();
  drain_returned();
  const uint32_t clears = g_settings.clears.load(std::memory_order_relaxed);
  if (clears != cleared_) drop_idle();
  cleared_ = clears;
  evict_idle_primitives();
  evict_idle_memory();
  // A descriptor holds those of its layouts, which are free once it has gone: go around again.
  for (size_t before = 0; before != descriptors_.size();) {
    before = descriptors_.size();
    evict_idle_descriptors(0, descriptors_.size());
  }
  if (bounded_) keep_within_memory(descriptors_.size());
}

void ThreadCache::drop_idle() {
  // Again, as in follow().
  for (size_t before = 0; before != descriptors_.size();) {
    before = descriptors_.size();
    for (Descriptor *d = descriptors_.last(); d != nullptr;) {
      Descriptor *const newer = d->recency.previous;
      while (d->first_idle != nullptr) destroy_idle(d->first_idle);
      if (unused(d)) drop(d);
      d = newer;
    }
  }
}

// Takes a descriptor without live primitives out of the table, with its idle primitives.
void ThreadCache::drop(Descriptor *d) {
#ifdef OPCACHE_FAULT_STALE_ENTRY
  g_evicted = true;
#endif
  while (d->first_idle != nullptr) destroy_idle(d->first_idle);
  erase_slot(d);
  descriptors_.remove(d);
  if (bounded_) discharge(&descriptor_bytes_, d->bytes);
  descriptor_count_.store(descriptors_.size(), std::memory_order_relaxed);
  if (last_convolution == d) last_convolution = nullptr;
  drop_reference(d);
}

// The thread ends: what is idle is destroyed here, where its scratchpad lives. What callers still
// hold stays valid and is destroyed when they let go of it.
void ThreadCache::shut_down() {
  pthread_mutex_lock(&mutex_);
  for (Primitive *p = returned_; p != nullptr;) {
    Primitive *const next = p->next;
    take_back(p);
    p = next;
  }
  for (Descriptor *d = descriptors_.first(); d != nullptr;) {
    Descriptor *const next = d->recency.next;
    while (d->first_idle != nullptr) destroy_idle(d->first_idle);
    if (bounded_) discharge(&descriptor_bytes_, d->bytes);
    d->owner.store(nullptr, std::memory_order_relaxed);
    // One with live primitives keeps the table's reference; the last of them drops it.
    if (d->live_primitives == 0) drop_reference(d);
    d = next;
  }
  free(slots_);
  slots_ = nullptr;
  descriptor_count_.store(0, std::memory_order_relaxed);
  // Keeps this object until the registry has let go of it.
  add_live(1);
  orphaned_.store(true, std::memory_order_release);
  pthread_mutex_unlock(&mutex_);
  Registry::get().remove(this);
  pthread_mutex_lock(&g_orphans_mutex);
  const uint64_t live = add_live(-1);
  pthread_mutex_unlock(&g_orphans_mutex);
  if (live == 0) delete this;
}

uint64_t ThreadCache::add_live(int n) {
  const uint64_t live = live_primitives_.load(std::memory_order_relaxed) + n;
  live_primitives_.store(live, std::memory_order_relaxed);
  return live;
}

Descriptor *find_descriptor(const_mkldnn_primitive_desc_t handle) {
  return g_descriptors.find(handle);
}

Primitive *find_primitive(const_mkldnn_primitive_t handle) { return g_primitives.find(handle); }

void retain(Descriptor *d) {
#ifdef OPCACHE_FAULT_CLONE_UNCOUNTED
  return;
#endif
  d->references.fetch_add(1, std::memory_order_relaxed);
}

void release(Descriptor *d) {
  ThreadCache *const mine = t_cache;
  if (mine == nullptr || !mine->bounded_) {
    drop_reference(d);
    return;
  }
  const bool own = d->owner.load(std::memory_order_relaxed) == mine;
  drop_reference(d);
  if (own) mine->keep_within_memory(kLooks);  // it may be idle now
}

// From another thread than the owner, which finds it in drain_returned(). False when there is no
// owner any more.
bool ThreadCache::give_back(Primitive *p) {
  pthread_mutex_lock(&mutex_);
  const bool owned = !orphaned_.load(std::memory_order_relaxed);
  if (owned) {
#ifdef OPCACHE_FAULT_DESTROYED_ABROAD
    --p->descriptor->live_primitives;
    add_live(-1);
    destroy_primitive(p, op_of(p->descriptor));
#else
    p->next = returned_;
    returned_ = p;
    has_returned_.store(true, std::memory_order_release);
#endif
  }
  pthread_mutex_unlock(&mutex_);
  return owned;
}

void release(Primitive *p) {
  ThreadCache *const owner = p->owner;
  if (owner == t_cache) {
    owner->take_back(p);
    return;
  }
  if (!owner->orphaned_.load(std::memory_order_acquire) && owner->give_back(p)) return;
  // Its thread is gone. Without a cache, too, it would be destroyed here and now.
  Descriptor *const d = p->descriptor;
  const Op op = op_of(d);
  pthread_mutex_lock(&g_orphans_mutex);
  const bool last_of_descriptor = --d->live_primitives == 0;
  const uint64_t live = owner->add_live(-1);
  pthread_mutex_unlock(&g_orphans_mutex);
  if (shadowing()) forget_primitive(p->real);
  destroy_primitive(p, op);
  if (last_of_descriptor) drop_reference(d);
  if (live == 0) delete owner;
}

bool anything_cached() {
  return g_descriptor_count.load(std::memory_order_relaxed) != 0 ||
         g_primitive_count.load(std::memory_order_relaxed) != 0;
}

void count_bypass(ThreadCache *cache, Bypass reason) {
  static std::atomic<bool> said[kBypassCount];
  if (cache != nullptr) cache->counters().bypasses[reason].add(1);
  // Not describing something is worth a line, once; an odd input or a full buffer is not.
  if ((reason == kUnknownKind || reason == kUnknownDescription) && !said[reason].exchange(true)) {
    message("%s: passing it through to MKL-DNN (said once; counted in the statistics)",
            bypass_name(reason));
  }
}

void make_shared_state() { Registry::get(); }

size_t stats_json(char *buffer, size_t size) {
  // A program that asks before it loads MXNet must not settle that there is no MKL-DNN.
  const Real *r = real_is_loaded() ? real() : nullptr;
  char scope[sizeof(Options::scope_text)];
  scope_text(scope, sizeof(scope));
  Identity identity = {};
  identity.recognised = r != nullptr && r->abi != nullptr;
  identity.mkldnn = identity.recognised ? r->abi->version : "unknown";
  identity.build_id = r != nullptr ? r->build_id : "";
  identity.active = identity.recognised && scope_in_force() != kNoOps && Registry::get().usable();
  identity.scope = scope;
  identity.capacity = capacity();
  identity.memory = memory_bound();
  identity.metered = metered();
  identity.shadow_rate = options().shadow_rate;
  Counters now;
  Population population = {};
  Registry &registry = Registry::get();
  registry.sum(&now, &population);
  // Threads go on meanwhile, so the two may not fit exactly.
  const uint64_t primitives = population_of(g_primitive_count);
  population.live_primitives =
      primitives > population.idle_primitives ? primitives - population.idle_primitives : 0;
  population.descriptors = population_of(g_descriptor_count);
  const uint64_t bytes = population_of(g_primitive_bytes);
  population.live_bytes = bytes > population.idle_bytes ? bytes - population.idle_bytes : 0;
  pthread_mutex_lock(&registry.base_mutex);
  const size_t needed = write_json(buffer, size, identity, now, registry.base, population);
  pthread_mutex_unlock(&registry.base_mutex);
  return needed;
}

void reset_stats() {
  Counters now;
  Population population = {};
  Registry &registry = Registry::get();
  registry.sum(&now, &population);
  pthread_mutex_lock(&registry.base_mutex);
  registry.base.set(now);
  pthread_mutex_unlock(&registry.base_mutex);
}

}  // namespace opcache
