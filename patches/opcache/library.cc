#include "library.h"

#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <atomic>

#include "cache/handles.h"
#include "in_tree.h"
#include "report/message.h"
#include "settings/settings.h"

namespace opcache {

namespace {

struct BuildIdSearch {
  ElfW(Addr) base;
  char *hex;
  size_t size;
};

// Tells whether the dynamic loader has mapped all of `segment`: headers may say anything.
bool is_mapped(const struct dl_phdr_info &info, const ElfW(Phdr) & segment) {
  for (int i = 0; i < info.dlpi_phnum; ++i) {
    const ElfW(Phdr) &load = info.dlpi_phdr[i];
    if (load.p_type != PT_LOAD || (load.p_flags & PF_R) == 0) continue;
    if (segment.p_vaddr < load.p_vaddr || segment.p_memsz > load.p_filesz) continue;
    if (segment.p_vaddr - load.p_vaddr <= load.p_filesz - segment.p_memsz) return true;
  }
  return false;
}

// Reads the GNU build-id note of the library loaded at `base` into `hex`.
int find_build_id(struct dl_phdr_info *info, size_t, void *data) {
  BuildIdSearch *search = static_cast<BuildIdSearch *>(data);
  if (info->dlpi_addr != search->base) return 0;
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const ElfW(Phdr) &segment = info->dlpi_phdr[i];
    if (segment.p_type != PT_NOTE || !is_mapped(*info, segment)) continue;
    const char *at = reinterpret_cast<const char *>(info->dlpi_addr + segment.p_vaddr);
    const char *end = at + segment.p_memsz;
    while (at + sizeof(ElfW(Nhdr)) <= end) {
      ElfW(Nhdr) note;
      memcpy(&note, at, sizeof(note));
      const char *name = at + sizeof(note);
      const char *desc = name + ((note.n_namesz + 3) & ~3u);
      const char *next = desc + ((note.n_descsz + 3) & ~3u);
      if (next > end) break;
      if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 && memcmp(name, "GNU", 4) == 0 &&
          2 * note.n_descsz < search->size) {
        for (unsigned j = 0; j < note.n_descsz; ++j) {
          snprintf(search->hex + 2 * j, 3, "%02x", static_cast<unsigned char>(desc[j]));
        }
        return 1;
      }
      at = next;
    }
  }
  return 1;
}

const char kApi0Name[] = "libmkldnn.so.0";
const char kApi1Name[] = "libmkldnn.so.1";

std::atomic<const Library *> g_library(nullptr);
std::atomic<bool> g_two(false);
std::atomic<bool> g_decided(false);
pthread_once_t g_once = PTHREAD_ONCE_INIT;

bool is_loaded(const char *name) {
  void *const handle = dlopen(name, RTLD_NOLOAD | RTLD_LAZY);
  if (handle != nullptr) dlclose(handle);
  return handle != nullptr;
}

// Of the two names, which must not both be loaded. nullptr: none, both, or not a known one.
const Library *the_loaded_one(bool *api0, bool *api1) {
  *api0 = is_loaded(kApi0Name);
  *api1 = is_loaded(kApi1Name);
  return *api0 == *api1 ? nullptr : *api0 ? api0_library() : api1_library();
}

void decide() {
  bool api0, api1;
  const Library *const found = the_loaded_one(&api0, &api1);
  if (api0 == api1) {
    g_two.store(api0, std::memory_order_relaxed);
    message(api0 ? "%s and %s are both loaded in this process; not caching"
                 : "no %s or %s is loaded in this process",
            kApi0Name, kApi1Name);
  }
  if (found == nullptr) return;
  g_destroyers = found->destroyers;
  // A key asks OpenMP for its number of threads. A thread that does so while the process ends may
  // crash: the OpenMP runtime has shut down and starts again. What atexit is given late runs early,
  // before the destructors of the runtime.
  atexit([] { g_settings.ended.store(true, std::memory_order_relaxed); });
  g_library.store(found, std::memory_order_release);
}

void find() {
  decide();
  g_decided.store(true, std::memory_order_release);
}

}  // namespace

const Call kNoCalls[] = {{nullptr, nullptr}};

#ifdef OPCACHE_NO_API0
const Library *api0_library() { return nullptr; }
#endif

const Library *library() {
  pthread_once(&g_once, find);
  return g_library.load(std::memory_order_acquire);
}

const Library *library_so_far() {
  if (g_decided.load(std::memory_order_acquire)) return library();
  bool api0, api1;
  return the_loaded_one(&api0, &api1);
}

bool library_in_use() { return g_library.load(std::memory_order_relaxed) != nullptr; }

bool two_libraries() { return g_two.load(std::memory_order_relaxed); }

// Once that is settled, without the loader: it searches folders for the name that is not loaded,
// which a forked child cannot do if another thread was about it.
bool library_is_loaded() {
  return library_in_use() || two_libraries() || is_loaded(kApi0Name) || is_loaded(kApi1Name);
}

bool open_library(const char *name, Library *found) {
  // NOLOAD: MXNet loads its libraries RTLD_LOCAL, so RTLD_NEXT would not see them, and a second
  // copy must never be loaded.
  found->name = name;
  found->handle = dlopen(name, RTLD_NOLOAD | RTLD_LAZY);
  if (found->handle == nullptr) return false;
  struct link_map *map = nullptr;
  if (dlinfo(found->handle, RTLD_DI_LINKMAP, &map) == 0 && map != nullptr) {
    found->map = map;
    BuildIdSearch search = {map->l_addr, found->build_id, sizeof(found->build_id)};
    dl_iterate_phdr(find_build_id, &search);
  }
  return true;
}

void *linked_function(void *handle, const char *name) {
  // Functions that we do not export and the other interface does not have.
  const bool api0 = dlsym(handle, "mkldnn_memory_desc_init") != nullptr;
  const bool api1 = dlsym(handle, "mkldnn_memory_create") != nullptr;
  void *const linked =
      api0 != api1 ? dlopen(api0 ? kApi0Name : kApi1Name, RTLD_NOLOAD | RTLD_LAZY) : nullptr;
  if (linked == nullptr) return nullptr;
  void *const function = dlsym(linked, name);
  dlclose(linked);
  return function;
}

// Threads hold state of ours until they end, so our code must stay as long. A library of our own is
// linked with -z nodelete; libmxnet.so is not.
bool stay_loaded() {
  Dl_info self;
  return dladdr(kApi0Name, &self) != 0 &&
         dlopen(self.dli_fname, RTLD_NOLOAD | RTLD_NODELETE | RTLD_LAZY) != nullptr;
}

}  // namespace opcache
