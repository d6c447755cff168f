#include "settings/settings.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

namespace opcache {

namespace {

pthread_mutex_t g_mutex = PTHREAD_MUTEX_INITIALIZER;
// Under g_mutex.
OpSet g_scope = kNoOps;
char g_scope_text[sizeof(Options::scope_text)] = "off";
unsigned g_pauses = 0;

class Lock {
 public:
  Lock() { lock_settings(); }
  ~Lock() { unlock_settings(); }
};

// To be called with the lock held, after every change.
void put_in_force() {
  const bool on = g_pauses == 0 && capacity() > 0 && memory_bound() > 0;
  g_settings.in_force.store(on ? g_scope : kNoOps, std::memory_order_relaxed);
}

void demand() { g_settings.demands.fetch_add(1, std::memory_order_release); }

}  // namespace

Settings g_settings;

void start_settings() {
  const Options &o = options();
  Lock lock;
  g_scope = o.scope;
  memcpy(g_scope_text, o.scope_text, sizeof(g_scope_text));
  g_settings.capacity.store(o.capacity, std::memory_order_relaxed);
  g_settings.memory.store(o.memory, std::memory_order_relaxed);
  put_in_force();
}

size_t scope_text(char *buffer, size_t size) {
  Lock lock;
  const int length = snprintf(buffer, size, "%s", g_scope_text);
  return static_cast<size_t>(length);
}

ScopeChange change_scope(const char *text, char *bad, size_t bad_size) {
  char no_room[1];
  if (bad == nullptr || bad_size == 0) {
    bad = no_room;
    bad_size = sizeof(no_room);
  }
  OpSet scope;
  if (text == nullptr) text = "";
  if (!parse_scope(text, &scope, bad, static_cast<unsigned>(bad_size))) return kScopeUnknownWord;
  if (strlen(text) >= sizeof(g_scope_text)) return kScopeTooLong;
  Lock lock;
  g_scope = scope;
  memcpy(g_scope_text, text, strlen(text) + 1);
  put_in_force();
  return kScopeChanged;
}

bool change_capacity(size_t capacity) {
  if (capacity > kMaxCapacity) return false;
  Lock lock;
  g_settings.capacity.store(capacity, std::memory_order_relaxed);
  put_in_force();
  demand();
  return true;
}

bool change_memory(size_t bytes) {
  if (bytes > kMaxMemory && bytes != kNoMemoryBound) return false;
  Lock lock;
  g_settings.memory.store(bytes, std::memory_order_relaxed);
  put_in_force();
  demand();
  return true;
}

void begin_pause() {
  Lock lock;
  ++g_pauses;
  put_in_force();
}

bool end_pause() {
  Lock lock;
  if (g_pauses == 0) return false;
  --g_pauses;
  put_in_force();
  return true;
}

void demand_clear() {
  g_settings.clears.fetch_add(1, std::memory_order_relaxed);
  demand();
}

void lock_settings() { pthread_mutex_lock(&g_mutex); }

void unlock_settings() { pthread_mutex_unlock(&g_mutex); }

}  // namespace opcache
