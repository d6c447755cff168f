#include "memory/meter.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <new>

#include "in_tree.h"
#include "library.h"
#include "memory/got.h"
#include "report/message.h"
#include "settings/settings.h"

namespace opcache {

namespace {

__thread Ledger *t_ledger OPCACHE_TLS_MODEL = nullptr;
std::atomic<bool> g_metered(false);
pthread_once_t g_once = PTHREAD_ONCE_INIT;

// MKL-DNN's scratchpads, of which each thread has one for all its primitives (or none, if that is
// what it was built for), are what it aligns so (src/common/scratchpad.cpp).
const size_t kScratchpadAlignment = 2u << 20;

// The functions through which libmkldnn may take and return memory. X(symbol, its number, what it
// is here).
#define OPCACHE_ALLOCATORS(X)                                                    \
  X("malloc", kMalloc, allocate<kMalloc>)                                        \
  X("_Znwm", kNew, allocate<kNew>)                                               \
  X("_Znam", kNewArray, allocate<kNewArray>)                                     \
  X("_ZnwmRKSt9nothrow_t", kNewNothrow, allocate_nothrow<kNewNothrow>)           \
  X("_ZnamRKSt9nothrow_t", kNewArrayNothrow, allocate_nothrow<kNewArrayNothrow>) \
  X("calloc", kCalloc, allocate_zeroed)                                          \
  X("realloc", kRealloc, reallocate)                                             \
  X("posix_memalign", kPosixMemalign, allocate_aligned)                          \
  X("aligned_alloc", kAlignedAlloc, allocate_at<kAlignedAlloc>)                  \
  X("memalign", kMemalign, allocate_at<kMemalign>)                               \
  X("free", kFree, release_block<kFree>)                                         \
  X("_ZdlPv", kDelete, release_block<kDelete>)                                   \
  X("_ZdaPv", kDeleteArray, release_block<kDeleteArray>)                         \
  X("_ZdlPvm", kDeleteSized, release_sized<kDeleteSized>)                        \
  X("_ZdaPvm", kDeleteArraySized, release_sized<kDeleteArraySized>)              \
  X("mmap", kMmap, map_pages)                                                    \
  X("munmap", kMunmap, unmap_pages)

enum Which {
#define OPCACHE_NAME(symbol, which, function) which,
  OPCACHE_ALLOCATORS(OPCACHE_NAME)
#undef OPCACHE_NAME
      kAllocators
};

extern Redirection g_redirections[kAllocators];

// What libmkldnn would have called.
template <class Function>
Function original(Which which) {
  // A call comes by a slot that was written after it; atomic for ThreadSanitizer, which does not
  // see the slot being read.
  return reinterpret_cast<Function>(
      __atomic_load_n(&g_redirections[which].original, __ATOMIC_ACQUIRE));
}

void *taken(void *block, size_t bytes) {
  Ledger *const ledger = t_ledger;
  if (ledger != nullptr && block != nullptr) ledger->add(block, heap_bytes(bytes), false);
  return block;
}

void returned(void *block) {
  Ledger *const ledger = t_ledger;
  if (ledger != nullptr && block != nullptr) ledger->remove(block);
}

template <Which which>
void *allocate(size_t n) {
  return taken(original<void *(*)(size_t)>(which)(n), n);
}

template <Which which>
void *allocate_nothrow(size_t n, const std::nothrow_t &tag) {
  return taken(original<void *(*)(size_t, const std::nothrow_t &)>(which)(n, tag), n);
}

void *allocate_zeroed(size_t n, size_t size) {
  return taken(original<void *(*)(size_t, size_t)>(kCalloc)(n, size), n * size);
}

void *reallocate(void *old, size_t n) {
  void *const block = original<void *(*)(void *, size_t)>(kRealloc)(old, n);
  if (block != nullptr || n == 0) returned(old);
  return taken(block, n);
}

int allocate_aligned(void **block, size_t alignment, size_t n) {
  const int error = original<int (*)(void **, size_t, size_t)>(kPosixMemalign)(block, alignment, n);
  if (error == 0 && alignment < kScratchpadAlignment) taken(*block, n);
  return error;
}

template <Which which>
void *allocate_at(size_t alignment, size_t n) {
  void *const block = original<void *(*)(size_t, size_t)>(which)(alignment, n);
  return alignment < kScratchpadAlignment ? taken(block, n) : block;
}

template <Which which>
void release_block(void *block) {
  returned(block);
  original<void (*)(void *)>(which)(block);
}

template <Which which>
void release_sized(void *block, size_t n) {
  returned(block);
  original<void (*)(void *, size_t)>(which)(block, n);
}

// Xbyak, which writes the kernels, maps their pages.
void *map_pages(void *at, size_t n, int protection, int flags, int fd, off_t offset) {
  void *const block = original<void *(*)(void *, size_t, int, int, int, off_t)>(kMmap)(
      at, n, protection, flags, fd, offset);
  Ledger *const ledger = t_ledger;
  if (ledger != nullptr && block != MAP_FAILED) ledger->add(block, n, true);
  return block;
}

int unmap_pages(void *block, size_t n) {
  returned(block);
  return original<int (*)(void *, size_t)>(kMunmap)(block, n);
}

Redirection g_redirections[kAllocators] = {
#define OPCACHE_REDIRECT(symbol, which, function) \
  {symbol, reinterpret_cast<void *>(&function), nullptr},
    OPCACHE_ALLOCATORS(OPCACHE_REDIRECT)
#undef OPCACHE_REDIRECT
};

void start() {
  const char *why = "this library could be unloaded";
  // A word of another library's that led nowhere would be the end of the process.
  const Library &l = *library();  // something is being created
  if (stay_loaded() && redirect(l.map, l.handle, g_redirections, kAllocators, &why) > 0) {
    g_metered.store(true, std::memory_order_release);
    return;
  }
  message(
      "cannot measure how much memory %s takes: %s; MKLDNN_OPCACHE_MEMORY goes by estimates "
      "instead",
      l.name, why);
}

// Bytes of the pages that are in memory: of 256 KiB that are mapped for a kernel, its code takes a
// few. All of them when the system does not tell.
size_t resident_bytes(void *block, size_t bytes) {
  const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  unsigned char in_memory[256];
  size_t resident = 0;
  for (size_t at = 0; at < bytes; at += sizeof(in_memory) * page) {
    const size_t part =
        bytes - at < sizeof(in_memory) * page ? bytes - at : sizeof(in_memory) * page;
    if (mincore(static_cast<char *>(block) + at, part, in_memory) != 0) return bytes;
    for (size_t i = 0; i < (part + page - 1) / page; ++i) resident += in_memory[i] & 1;
  }
  return resident * page;
}

}  // namespace

bool metered() { return g_metered.load(std::memory_order_acquire); }

Ledger::~Ledger() {
  // An exception of the real library passed a Metering by, which is compiled without exceptions.
  if (t_ledger == this) t_ledger = nullptr;
  free(entries_);
}

void Ledger::clear() {
  for (size_t i = 0; used_ > 0 && i <= mask_; ++i) entries_[i].block = nullptr;
  used_ = 0;
  complete_ = true;
}

size_t Ledger::slot_of(const void *block) const {
  size_t i =
      static_cast<size_t>((reinterpret_cast<uintptr_t>(block) >> 4) * 0x9e3779b97f4a7c15ull >> 20) &
      mask_;
  while (entries_[i].block != nullptr && entries_[i].block != block) i = (i + 1) & mask_;
  return i;
}

bool Ledger::grow() {
  if (entries_ != nullptr && 2 * (used_ + 1) <= mask_ + 1) return true;
  const size_t room = entries_ == nullptr ? 256 : 2 * (mask_ + 1);
  Entry *const entries = static_cast<Entry *>(calloc(room, sizeof(Entry)));
  if (entries == nullptr) return false;
  Entry *const old = entries_;
  const size_t old_room = old == nullptr ? 0 : mask_ + 1;
  entries_ = entries;
  mask_ = room - 1;
  for (size_t i = 0; i < old_room; ++i) {
    if (old[i].block != nullptr) entries_[slot_of(old[i].block)] = old[i];
  }
  free(old);
  return true;
}

void Ledger::add(void *block, size_t bytes, bool mapped) {
  if (!grow()) {
    complete_ = false;
    return;
  }
  Entry &entry = entries_[slot_of(block)];
  if (entry.block == nullptr) ++used_;
  const Entry added = {block, bytes, mapped};
  entry = added;
}

void Ledger::remove(void *block) {
  if (used_ == 0) return;
  size_t hole = slot_of(block);
  if (entries_[hole].block == nullptr) return;
  entries_[hole].block = nullptr;
  --used_;
  // Those behind it that it had pushed on move up.
  for (size_t i = (hole + 1) & mask_; entries_[i].block != nullptr; i = (i + 1) & mask_) {
    const Entry moved = entries_[i];
    entries_[i].block = nullptr;
    entries_[slot_of(moved.block)] = moved;
  }
}

size_t Ledger::bytes() const {
  size_t sum = 0;
  for (size_t i = 0, left = used_; left > 0; ++i) {
    const Entry &entry = entries_[i];
    if (entry.block == nullptr) continue;
    --left;
    sum += entry.mapped ? resident_bytes(entry.block, entry.bytes) : entry.bytes;
  }
  return sum;
}

Metering::Metering(Ledger *ledger) : ledger_(nullptr) {
  // One creation within another is part of it.
  if (memory_bound() == kNoMemoryBound || t_ledger != nullptr) return;
  pthread_once(&g_once, start);
  if (!metered()) return;
  ledger->clear();
  ledger_ = ledger;
  t_ledger = ledger;
}

Metering::~Metering() {
  if (ledger_ != nullptr) t_ledger = nullptr;
}

size_t Metering::bytes(size_t estimate) const {
  if (ledger_ == nullptr) return estimate;
  const size_t counted = ledger_->bytes();
  return ledger_->complete() || counted > estimate ? counted : estimate;
}

}  // namespace opcache
