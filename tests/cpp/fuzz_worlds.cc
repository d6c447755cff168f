#include "fuzz_worlds.h"

namespace fuzz {

namespace {

World through_the_library() {
  World w;
  static_cast<api::Api &>(w) = api::through();
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
  static_cast<api::Api &>(w) = api::of_library(library);
#define FUZZ_TAKE(name) \
  w.fake.name = reinterpret_cast<decltype(w.fake.name)>(api::find(library, "fake_" #name));
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
