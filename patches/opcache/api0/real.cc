#include "api0/real.h"

#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "in_tree.h"
#include "report/message.h"
#include "settings/options.h"

namespace opcache {

namespace {

const char kLibrary[] = "libmkldnn.so.0";

Real g_functions;
pthread_once_t g_once = PTHREAD_ONCE_INIT;

struct BuildIdSearch {
  ElfW(Addr) base;
  char *hex;
  size_t size;
};

// Tells whether the dynamic loader has mapped all of `segment`: headers may say anything.
bool is_mapped(const struct dl_phdr_info &info, const ElfW(Phdr) & segment) {
  for (int i = 0; i < info.dlpi_phnum; ++i) {
    const ElfW(Phdr) &load = info.dlpi_phdr[i];
#ifdef OPCACHE_FAULT_BELIEVE_HEADERS
    return true;
#endif
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

// By build-id; for people who built MXNet and MKL-DNN themselves, by their word; inside MXNet's
// tree by the headers, which are those of the libmkldnn.so.0 that libmxnet.so links.
const Abi *recognise(const char *build_id) {
  for (size_t i = 0; i < kAbiCount; ++i) {
    if (strcmp(kAbis[i].build_id, build_id) == 0) return &kAbis[i];
  }
  const char *assumed = environment("MKLDNN_OPCACHE_ASSUME");
  for (size_t i = 0; assumed != nullptr && i < kAbiCount; ++i) {
    if (strcmp(kAbis[i].version, assumed) == 0) return &kAbis[i];
  }
  for (size_t i = 0; kInTree && assumed == nullptr && i < kAbiCount; ++i) {
    if (headers_are(kAbis[i])) return &kAbis[i];
  }
  char known[64] = "";
  for (size_t i = 0; i < kAbiCount; ++i) {
    snprintf(known + strlen(known), sizeof(known) - strlen(known), "%s%s", i > 0 ? ", " : "",
             kAbis[i].version);
  }
  if (assumed != nullptr) {
    message("MKLDNN_OPCACHE_ASSUME=%.60s is not a release this library knows (%s); not caching",
            assumed, known);
  } else {
    message(
        "%s with build-id '%s' is not one this library knows (%s as released with MXNet); not "
        "caching. If it was built from one of these sources, set MKLDNN_OPCACHE_ASSUME to it",
        kLibrary, build_id, known);
  }
  return nullptr;
}

void resolve() {
  if (kInTree) stay_loaded();
  // NOLOAD: MXNet loads its libraries RTLD_LOCAL, so RTLD_NEXT would not see them, and a second
  // copy must never be loaded. The handle is kept, so the library stays until the process ends.
  void *handle = dlopen(kLibrary, RTLD_NOLOAD | RTLD_LAZY);
  if (handle == nullptr) {
    message("no %s is loaded in this process", kLibrary);
    return;
  }
  const char *missing = nullptr;
#define OPCACHE_RESOLVE(name)                                                                      \
  g_functions.name = reinterpret_cast<decltype(g_functions.name)>(dlsym(handle, "mkldnn_" #name)); \
  if (g_functions.name == nullptr) missing = "mkldnn_" #name;
  OPCACHE_REAL_FUNCTIONS(OPCACHE_RESOLVE)
#undef OPCACHE_RESOLVE
  g_functions.omp_get_max_threads =
      reinterpret_cast<int (*)()>(dlsym(handle, "omp_get_max_threads"));
  if (missing != nullptr) {
    message("%s has no %s: it is not MKL-DNN 0.14 to 0.19", kLibrary, missing);
    return;
  }
  struct link_map *map = nullptr;
  if (dlinfo(handle, RTLD_DI_LINKMAP, &map) == 0 && map != nullptr) {
    g_functions.handle = handle;
    g_functions.library = map;
    BuildIdSearch search = {map->l_addr, g_functions.build_id, sizeof(g_functions.build_id)};
    dl_iterate_phdr(find_build_id, &search);
  }
  g_functions.abi = recognise(g_functions.build_id);
  if (g_functions.abi != nullptr && g_functions.omp_get_max_threads == nullptr) {
    message("%s is not linked to an OpenMP runtime; not caching", kLibrary);
    g_functions.abi = nullptr;
  }
  g_real.store(&g_functions, std::memory_order_release);
}

}  // namespace

std::atomic<const Real *> g_real(nullptr);

const Real *resolve_real() {
  pthread_once(&g_once, resolve);
  return g_real.load(std::memory_order_acquire);
}

// Threads hold state of ours until they end, so our code must stay as long. A library of our own is
// linked with -z nodelete; libmxnet.so is not.
bool stay_loaded() {
  Dl_info self;
  return dladdr(&g_once, &self) != 0 &&
         dlopen(self.dli_fname, RTLD_NOLOAD | RTLD_NODELETE | RTLD_LAZY) != nullptr;
}

bool real_is_loaded() {
  void *const handle = dlopen(kLibrary, RTLD_NOLOAD | RTLD_LAZY);
  if (handle != nullptr) dlclose(handle);
  return handle != nullptr;
}

}  // namespace opcache
