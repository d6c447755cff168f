#include "settings/settings.h"

#include <stdio.h>
#include <string.h>

#include "lock.h"

namespace opcache {

namespace {

pthread_mutex_t g_mutex = PTHREAD_MUTEX_INITIALIZER;
// Under g_mutex.
OpSet g_scope = kNoOps;
char g_scope_text[sizeof(Options::scope_text)] = "off";
unsigned g_pauses = 0;

// To be called with the lock held, after every change.
void put_in_force() {
  const bool on = g_pauses == 0 && capacity() > 0 && memory_bound() > 0;
  g_settings.in_force.store(on ? g_scope : kNoOps, std::memory_order_relaxed);
}

void start_generation() { g_settings.generation.fetch_add(1, std::memory_order_release); }

bool change(std::atomic<size_t> *bound, size_t value) {
  const Lock lock(&g_mutex);
  bound->store(value, std::memory_order_relaxed);
  put_in_force();
  start_generation();
  return true;
}

}  // namespace

Settings g_settings;

void start_settings() {
  const Options &o = options();
  const Lock lock(&g_mutex);
  g_scope = o.scope;
  memcpy(g_scope_text, o.scope_text, sizeof(g_scope_text));
  g_settings.capacity.store(o.capacity, std::memory_order_relaxed);
  g_settings.memory.store(o.memory, std::memory_order_relaxed);
  g_settings.estimate.store(o.estimate, std::memory_order_relaxed);
  put_in_force();
}

size_t scope_text(char *buffer, size_t size) {
  const Lock lock(&g_mutex);
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
  const Lock lock(&g_mutex);
  g_scope = scope;
  memcpy(g_scope_text, text, strlen(text) + 1);
  put_in_force();
  return kScopeChanged;
}

bool change_capacity(size_t capacity) {
  return capacity <= kMaxCapacity && change(&g_settings.capacity, capacity);
}

bool change_memory(size_t bytes) {
  return (bytes <= kMaxMemory || bytes == kNoMemoryBound) && change(&g_settings.memory, bytes);
}

void begin_pause() {
  const Lock lock(&g_mutex);
  ++g_pauses;
  put_in_force();
}

bool end_pause() {
  const Lock lock(&g_mutex);
  if (g_pauses == 0) return false;
  --g_pauses;
  put_in_force();
  return true;
}

void request_clear() {
  g_settings.clear_generation.fetch_add(1, std::memory_order_relaxed);
  start_generation();
}

pthread_mutex_t *settings_mutex() { return &g_mutex; }

}  // namespace opcache
