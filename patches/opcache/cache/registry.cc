#include "cache/registry.h"

#include <pthread.h>
#include <stdlib.h>

#include <algorithm>
#include <new>

#include "cache/handles.h"
#include "lock.h"
#include "settings/settings.h"

namespace opcache {

namespace {

const uint32_t kRow = 8;
const uint32_t kUntried = 64;

// Never destroyed: threads may end after static destructors have run.
alignas(Registry) char g_registry[sizeof(Registry)];
pthread_once_t g_once = PTHREAD_ONCE_INIT;

}  // namespace

Registry &Registry::get() {
  pthread_once(&g_once, [] { new (g_registry) Registry(); });
  return *reinterpret_cast<Registry *>(g_registry);
}

Registry::Registry()
    : survives_forks_(pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child) == 0),
      threads_(0),
      trial_(0),
      tried_(0),
      mutex_(PTHREAD_MUTEX_INITIALIZER),
      unpaid_(0),
      most_(0),
      orphans_(PTHREAD_MUTEX_INITIALIZER),
      kept_(nullptr) {}

Owner *Registry::add() {
  void *const memory = malloc(sizeof(Owner));
  if (memory == nullptr) return nullptr;
  Owner *const owner = new (memory) Owner();
  pthread_mutex_init(&owner->mutex, nullptr);
  owner->references = 1;
  owner->thread = pthread_self();
  const Lock lock(&mutex_);
  owners_.push_front(owner);
  threads_.fetch_add(1, std::memory_order_relaxed);
  return owner;
}

// A cache costs each creation of its thread's and pays with those that repeat. After a row of
// threads whose caches did not pay, the next ones get through twice what those asked for without
// one. Threads that go on have a cache soon, and if that pays, the row is over. So it is if it pays
// for the one in so many that is not on trial.
void Registry::judge(bool paid, uint64_t asked) {
  const Lock lock(&mutex_);
  unpaid_ = paid ? 0 : std::min(unpaid_ + 1, kRow);
  most_ = paid ? 0 : std::max(most_, asked);
  const size_t trial = static_cast<size_t>(std::min<uint64_t>(2 * most_, options().trial));
  trial_.store(unpaid_ < kRow ? 0 : trial, std::memory_order_relaxed);
}

size_t Registry::next_trial() {
  const size_t trial = trial_.load(std::memory_order_relaxed);
  if (trial == 0) return 0;
  const uint32_t before = tried_.fetch_add(1, std::memory_order_relaxed);
  return (before + 1) % kUntried == 0 ? 0 : trial;
}

void Registry::unlist(Owner *owner) {
  ended_.add(owner->counters);
  owners_.remove(owner);
  threads_.fetch_sub(1, std::memory_order_relaxed);
}

void Registry::remove(Owner *owner) {
  {
    const Lock lock(&mutex_);
    unlist(owner);
  }
  release_orphan(owner, nullptr);
}

bool Registry::release_orphan(Owner *owner, Descriptor *d) {
  pthread_mutex_lock(&orphans_);
  const bool last_of_descriptor = d != nullptr && --d->live_primitives == 0;
  const uint64_t left = --owner->references;
  pthread_mutex_unlock(&orphans_);
  if (left == 0) free(owner);
  return last_of_descriptor;
}

void Registry::keep_orphan(Primitive *p) {
  const Lock lock(&orphans_);
  p->next = kept_;
  kept_ = p;
}

Primitive *Registry::take_orphans() {
  const Lock lock(&orphans_);
  Primitive *const all = kept_;
  kept_ = nullptr;
  return all;
}

void Registry::add_all(Counters *sum) const {
  sum->add(ended_);
  for (const Owner *o = owners_.first(); o != nullptr; o = o->link.next) sum->add(o->counters);
}

void Registry::sum(Counters *since_reset, Population *population) {
  const Lock lock(&mutex_);
  add_all(since_reset);
  since_reset->subtract(base_);
  for (const Owner *o = owners_.first(); o != nullptr; o = o->link.next) {
    population->idle_primitives += o->idle_primitives.get();
    population->idle_bytes += o->idle_bytes.get();
    population->idle_primitive_bytes += o->idle_primitive_bytes.get();
    population->descriptor_bytes += o->descriptor_bytes.get();
    ++population->threads;
  }
}

void Registry::reset() {
  const Lock lock(&mutex_);
  base_.clear();
  add_all(&base_);
}

// The order of all locks of the library: a fork takes every one before, so that the child inherits
// none that another thread held, and releases them in reverse.
void Registry::walk_locks(int (*act)(pthread_mutex_t *), bool backwards) {
  pthread_mutex_t *const every_owner = nullptr;
  pthread_mutex_t *const order[] = {
      settings_mutex(),         &mutex_, every_owner, &orphans_, descriptor_handles_mutex(),
      primitive_handles_mutex()};
  const size_t n = sizeof(order) / sizeof(order[0]);
  for (size_t i = 0; i < n; ++i) {
    pthread_mutex_t *const mutex = order[backwards ? n - 1 - i : i];
    Owner *const first = mutex == every_owner ? owners_.first() : nullptr;
    for (Owner *o = first; o != nullptr; o = o->link.next) act(&o->mutex);
    if (mutex != every_owner) act(mutex);
  }
}

void Registry::before_fork() { get().walk_locks(pthread_mutex_lock, false); }

void Registry::after_fork_in_parent() { get().walk_locks(pthread_mutex_unlock, true); }

// The child has one thread. What the others owned can no longer be returned: their idle primitives
// are abandoned (their scratchpads belonged to threads that are gone) and their live ones are
// orphans. Their Owner stays, as descriptors may still name it.
void Registry::after_fork_in_child() {
  after_fork_in_parent();
  Registry &r = get();
  {
    const Lock lock(&r.mutex_);
    for (Owner *o = r.owners_.first(); o != nullptr;) {
      Owner *const next = o->link.next;
      if (!pthread_equal(o->thread, pthread_self())) {
        o->ended.store(true, std::memory_order_relaxed);
        r.unlist(o);
        const size_t idle_bytes = o->idle_bytes.get();
        subtract(&g_totals.primitives, o->idle_primitives.get());
        subtract(&g_totals.descriptors, o->descriptors.get());
        subtract(&g_totals.primitive_bytes, idle_bytes);
        subtract(&g_totals.idle_primitive_bytes, o->told_bytes.get());
        subtract(&g_totals.evictable_bytes, idle_bytes + o->descriptor_bytes.get());
      }
      o = next;
    }
  }
  // The parent reports its work: what the processes of a job report can be added up.
  r.reset();
}

}  // namespace opcache
