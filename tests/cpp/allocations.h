// Failures of the memory of the library under test: its malloc, calloc, realloc, posix_memalign and
// pthread_setspecific (which allocates too) fail at the nth call. The library is the one that is
// handed out: its table of imported functions is rewritten in this process, nothing is compiled
// differently and no other library is touched.
#pragma once

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>

#include "relocations.h"

namespace allocations {

namespace {

std::atomic<long> g_failed(0), g_alive(0);
std::atomic<long> g_countdown(0);  // 0: nothing fails
std::atomic<bool> g_for_good(false);

// Counts a call; true: it is to fail.
bool fails() {
  long left = g_countdown.load();
  while (left > 1 && !g_countdown.compare_exchange_weak(left, left - 1)) continue;
  if (left != 1) return false;
  if (!g_for_good) g_countdown = 0;
  g_failed.fetch_add(1);
  return true;
}

void *counted(void *memory) {
  if (memory != nullptr) g_alive.fetch_add(1);
  return memory;
}

void *failing_malloc(size_t bytes) { return fails() ? nullptr : counted(malloc(bytes)); }

void *failing_calloc(size_t n, size_t bytes) {
  return fails() ? nullptr : counted(calloc(n, bytes));
}

void *failing_realloc(void *old, size_t bytes) {
  if (fails()) return nullptr;
  void *const memory = realloc(old, bytes);
  return old == nullptr ? counted(memory) : memory;
}

int failing_posix_memalign(void **memory, size_t alignment, size_t bytes) {
  if (fails()) return ENOMEM;
  const int error = posix_memalign(memory, alignment, bytes);
  if (error == 0) g_alive.fetch_add(1);
  return error;
}

void counting_free(void *memory) {
  if (memory != nullptr) g_alive.fetch_sub(1);
  free(memory);
}

int failing_setspecific(pthread_key_t key, const void *value) {
  return fails() ? ENOMEM : pthread_setspecific(key, value);
}

struct Import {
  const char *name;
  void *instead;
};

const Import kImports[] = {
    {"malloc", reinterpret_cast<void *>(failing_malloc)},
    {"calloc", reinterpret_cast<void *>(failing_calloc)},
    {"realloc", reinterpret_cast<void *>(failing_realloc)},
    {"posix_memalign", reinterpret_cast<void *>(failing_posix_memalign)},
    {"free", reinterpret_cast<void *>(counting_free)},
    {"pthread_setspecific", reinterpret_cast<void *>(failing_setspecific)},
};

void overwrite(void **slot, void *value) {
  const uintptr_t page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  void *const start = reinterpret_cast<void *>(reinterpret_cast<uintptr_t>(slot) & ~(page - 1));
  // Read-only after relocation; it may stay writable.
  if (mprotect(start, page, PROT_READ | PROT_WRITE) != 0) abort();
  *slot = value;
}

// Rewrites the imports among the relocations of a library; how many.
int rewrite(const struct dl_phdr_info *info) {
  const ElfW(Dyn) *dynamic = nullptr;
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    if (info->dlpi_phdr[i].p_type != PT_DYNAMIC) continue;
    dynamic = reinterpret_cast<const ElfW(Dyn) *>(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr);
  }
  int found = 0;
  for_each_relocation(info->dlpi_addr, dynamic, [&](const char *name, void **word, size_t type) {
    if (type != R_X86_64_GLOB_DAT && type != R_X86_64_JUMP_SLOT) return;
    for (const Import &import : kImports) {
      if (strcmp(name, import.name) != 0) continue;
      overwrite(word, import.instead);
      ++found;
    }
  });
  return found;
}

int visit(struct dl_phdr_info *info, size_t, void *found) {
  if (strstr(info->dlpi_name, "libmkldnn_opcache.so") == nullptr) return 0;
  *static_cast<int *>(found) = rewrite(info);
  return 1;
}

}  // namespace

// Puts the counting functions in place; how many imports it found. Once, before the library is
// used.
inline int watch() {
  int found = 0;
  dl_iterate_phdr(visit, &found);
  return found;
}

// From the nth allocation (1 = next) on, once or for good, on any thread.
inline void fail(long nth, bool for_good) {
  g_for_good = for_good;
  g_countdown = nth;
}

inline void stop() { g_countdown = 0; }

inline long failed() { return g_failed; }
// Blocks that the library holds.
inline long alive() { return g_alive; }

}  // namespace allocations
