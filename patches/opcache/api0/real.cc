#include "api0/real.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api0/binding.h"
#include "in_tree.h"
#include "report/message.h"
#include "settings/options.h"
#include "settings/settings.h"

namespace opcache {

namespace {

Real g_functions;
pthread_once_t g_once = PTHREAD_ONCE_INIT;

// By build-id; for an MKL-DNN that the user built, by MKLDNN_OPCACHE_ASSUME; inside MXNet's
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
        kLibraryName, build_id, known);
  }
  return nullptr;
}

void resolve() {
  if (kInTree) stay_loaded();
  if (!open_library(&g_functions)) {
    message("no %s is loaded in this process", kLibraryName);
    return;
  }
  void *const handle = g_functions.handle;
  const char *missing = nullptr;
#define OPCACHE_RESOLVE(name)                                                                      \
  g_functions.name = reinterpret_cast<decltype(g_functions.name)>(dlsym(handle, "mkldnn_" #name)); \
  if (g_functions.name == nullptr) missing = "mkldnn_" #name;
  OPCACHE_REAL_FUNCTIONS(OPCACHE_RESOLVE)
#undef OPCACHE_RESOLVE
  g_functions.omp_get_max_threads =
      reinterpret_cast<int (*)()>(dlsym(handle, "omp_get_max_threads"));
  if (missing != nullptr) {
    message("%s has no %s: it is not MKL-DNN 0.14 to 0.19", kLibraryName, missing);
    return;
  }
  g_functions.abi = recognise(g_functions.build_id);
  if (g_functions.abi != nullptr && g_functions.omp_get_max_threads == nullptr) {
    message("%s is not linked to an OpenMP runtime; not caching", kLibraryName);
    g_functions.abi = nullptr;
  }
  g_functions.release = g_functions.abi != nullptr ? g_functions.abi->version : nullptr;
  g_destroyers = &kDestroyers;
  // A key asks OpenMP for its number of threads. A thread that does so while the process ends may
  // crash: the OpenMP runtime has shut down and starts again. What atexit is given late runs early,
  // before the destructors of the runtime.
  atexit([] { g_settings.ended.store(true, std::memory_order_relaxed); });
  g_real.store(&g_functions, std::memory_order_release);
}

}  // namespace

std::atomic<const Real *> g_real(nullptr);

const Library *api0_library() {
  pthread_once(&g_once, resolve);
  return g_real.load(std::memory_order_acquire);
}

}  // namespace opcache
