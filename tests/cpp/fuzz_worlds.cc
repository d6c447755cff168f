#include "fuzz_worlds.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

namespace fuzz {

namespace {

void *find(void *library, const char *name) {
  void *const found = dlsym(library, name);
  if (found != nullptr) return found;
  fprintf(stderr, "fuzz: the reference has no %s\n", name);
  exit(2);
}

World through_the_library() {
  World w;
#define FUZZ_TAKE(name) w.name = mkldnn_##name;
  FUZZ_FUNCTIONS(FUZZ_TAKE)
#undef FUZZ_TAKE
#define FUZZ_TAKE(name) w.fake.name = fake_##name;
  FUZZ_FAKE_FUNCTIONS(FUZZ_TAKE)
#undef FUZZ_TAKE
  return w;
}

World reference() {
  // Its own calls stay inside it: it is linked with -Bsymbolic.
  void *const library = dlopen("libmkldnn_reference.so", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    fprintf(stderr, "fuzz: %s\n", dlerror());
    exit(2);
  }
  World w;
#define FUZZ_TAKE(name) w.name = reinterpret_cast<decltype(w.name)>(find(library, "mkldnn_" #name));
  FUZZ_FUNCTIONS(FUZZ_TAKE)
#undef FUZZ_TAKE
#define FUZZ_TAKE(name) \
  w.fake.name = reinterpret_cast<decltype(w.fake.name)>(find(library, "fake_" #name));
  FUZZ_FAKE_FUNCTIONS(FUZZ_TAKE)
#undef FUZZ_TAKE
  return w;
}

}  // namespace

const World &world(int which) {
  static const World worlds[kWorlds] = {through_the_library(), reference()};
  return worlds[which];
}

}  // namespace fuzz
