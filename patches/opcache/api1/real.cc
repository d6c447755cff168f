#include "api1/real.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "api1/calls.h"
#include "in_tree.h"
#include "memory/got.h"
#include "recognise.h"
#include "report/message.h"

namespace opcache {

namespace api1 {

namespace {

// Source: the tag's headers and the released wheel's libmkldnn.so.1.
struct Release {
  const char *version;
  const char *build_id;
};
const Release kReleases[] = {
    {/*version=*/"v1.0.4", /*build_id=*/"65539154d39c0409280679486a0ca81308d48c72"},
};

Real g_functions;
pthread_once_t g_once = PTHREAD_ONCE_INIT;

// From 1.0 on the library itself tells its version, and the headers need not.
bool headers_are(const Release &release) {
  struct Version {
    int major, minor, patch;
    const char *hash;
  };
  typedef const Version *(*Ask)();
  const Ask ask = reinterpret_cast<Ask>(dlsym(g_functions.handle, "mkldnn_version"));
  if (ask == nullptr) return false;
  char version[64];
  snprintf(version, sizeof(version), "v%d.%d.%d", ask()->major, ask()->minor, ask()->patch);
  return strcmp(version, release.version) == 0;
}

void resolve() {
  if (kInTree) stay_loaded();
  if (!open_library("libmkldnn.so.1", &g_functions)) return;
  void *const handle = g_functions.handle;
  const char *missing = nullptr;
#define OPCACHE_RESOLVE(result, name, arguments)                                                   \
  g_functions.name = reinterpret_cast<decltype(g_functions.name)>(dlsym(handle, "mkldnn_" #name)); \
  if (g_functions.name == nullptr) missing = "mkldnn_" #name;
  OPCACHE_API1_FUNCTIONS(OPCACHE_RESOLVE)
#undef OPCACHE_RESOLVE
  if (missing != nullptr) {
    message("%s has no %s: it is not MKL-DNN 1.0", g_functions.name, missing);
    return;
  }
  const Release *release = recognise(g_functions, kReleases, headers_are);
  // Several runtimes may be loaded: the one to ask is the one that MKL-DNN asks.
  g_functions.omp_get_max_threads =
      reinterpret_cast<int (*)()>(called_function(g_functions.map, handle, "omp_get_max_threads"));
  if (release != nullptr && g_functions.omp_get_max_threads == nullptr) {
    message("%s does not call an OpenMP runtime; not caching", g_functions.name);
    release = nullptr;
  }
  g_functions.omp_in_parallel =
      reinterpret_cast<int (*)()>(called_function(g_functions.map, handle, "omp_in_parallel"));
  g_functions.release = release != nullptr ? release->version : nullptr;
  g_functions.calls = release != nullptr ? calls() : kNoCalls;
  g_functions.destroyers = &kDestroyers;
  g_real.store(&g_functions, std::memory_order_release);
}

}  // namespace

std::atomic<const Real *> g_real(nullptr);

}  // namespace api1

const Library *api1_library() {
  pthread_once(&api1::g_once, api1::resolve);
  return api1::g_real.load(std::memory_order_acquire);
}

}  // namespace opcache
