#include "api0/real.h"

#include <dlfcn.h>
#include <pthread.h>

#include "api0/binding.h"
#include "api0/calls.h"
#include "in_tree.h"
#include "recognise.h"
#include "report/message.h"

namespace opcache {

namespace {

Real g_functions;
pthread_once_t g_once = PTHREAD_ONCE_INIT;

void resolve() {
  if (kInTree) stay_loaded();
  if (!open_library("libmkldnn.so.0", &g_functions)) return;
  void *const handle = g_functions.handle;
  const char *missing = nullptr;
#define OPCACHE_RESOLVE(name)                                                                      \
  g_functions.name = reinterpret_cast<decltype(g_functions.name)>(dlsym(handle, "mkldnn_" #name)); \
  if (g_functions.name == nullptr) missing = "mkldnn_" #name;
  OPCACHE_REAL_FUNCTIONS(OPCACHE_RESOLVE)
#undef OPCACHE_RESOLVE
  g_functions.omp_get_max_threads =
      reinterpret_cast<int (*)()>(dlsym(handle, "omp_get_max_threads"));
  g_functions.omp_in_parallel = reinterpret_cast<int (*)()>(dlsym(handle, "omp_in_parallel"));
  if (missing != nullptr) {
    message("%s has no %s: it is not MKL-DNN 0.14 to 0.19", g_functions.name, missing);
    return;
  }
  g_functions.abi = recognise(g_functions, kAbis, headers_are);
  if (g_functions.abi != nullptr && g_functions.omp_get_max_threads == nullptr) {
    message("%s is not linked to an OpenMP runtime; not caching", g_functions.name);
    g_functions.abi = nullptr;
  }
  g_functions.release = g_functions.abi != nullptr ? g_functions.abi->version : nullptr;
  g_functions.calls = g_functions.abi != nullptr ? kCalls : kNoCalls;
  g_functions.destroyers = &kDestroyers;
  g_real.store(&g_functions, std::memory_order_release);
}

}  // namespace

std::atomic<const Real *> g_real(nullptr);

const Library *api0_library() {
  pthread_once(&g_once, resolve);
  return g_real.load(std::memory_order_acquire);
}

}  // namespace opcache
