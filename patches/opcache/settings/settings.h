// What is cached at present: what the environment asked for (options.h) until the program asks for
// something else (opcache.h). Any thread may read it and change it at any time. Reading takes no
// lock; changing takes one, which is never held while anything else is called.
#ifndef OPCACHE_SETTINGS_SETTINGS_H_
#define OPCACHE_SETTINGS_SETTINGS_H_

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#include <atomic>

#include "settings/op.h"
#include "settings/options.h"

namespace opcache {

// Read in every call and seldom written: a cache line of its own.
struct alignas(64) Settings {
  std::atomic<OpSet> in_force;   // the scope; empty while paused or without room
  std::atomic<size_t> capacity;  // most primitives, and most descriptors, over all threads; 0 = off
  std::atomic<size_t> memory;    // most bytes, likewise, or kNoMemoryBound; 0 = off
  std::atomic<size_t> estimate;  // without it: most estimated bytes of idle primitives
  // Rises after a change that concerns what is idle already. A thread that finds it higher than the
  // one it last applied acts on `capacity`, `memory` and `clear_generation`, which were changed
  // before it.
  std::atomic<uint32_t> generation;
  std::atomic<uint32_t> clear_generation;
  std::atomic<bool> ended;  // the process ends: nothing is cached any more
};

extern Settings g_settings;

inline OpSet scope_in_force() {
  const bool ended = g_settings.ended.load(std::memory_order_relaxed);
  return ended ? kNoOps : g_settings.in_force.load(std::memory_order_relaxed);
}
inline size_t capacity() { return g_settings.capacity.load(std::memory_order_relaxed); }
inline size_t memory_bound() { return g_settings.memory.load(std::memory_order_relaxed); }
inline size_t estimate_bound() { return g_settings.estimate.load(std::memory_order_relaxed); }

// Puts the options into force, at load time; until then nothing is cached.
void start_settings();

// The scope's words, like snprintf.
size_t scope_text(char *buffer, size_t size);
// On failure nothing changes and `bad` holds the word that is not one.
enum ScopeChange { kScopeChanged, kScopeUnknownWord, kScopeTooLong };
ScopeChange change_scope(const char *text, char *bad, size_t bad_size);
// False, and nothing changes, when it is more than the environment may ask for.
bool change_capacity(size_t capacity);
bool change_memory(size_t bytes);
// Pauses are counted: the scope is in force when as many were ended. False: there is none to end.
void begin_pause();
bool end_pause();
// Asks every thread to destroy its idle objects.
void request_clear();

// For the order of locks around fork.
pthread_mutex_t *settings_mutex();

}  // namespace opcache

#endif  // OPCACHE_SETTINGS_SETTINGS_H_
