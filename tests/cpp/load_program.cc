// Runs the test program that is inside the shared library $LOAD_PROGRAM, loaded as Python loads
// libmxnet.so: with dlopen and RTLD_LOCAL.
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv) {
  const char *path = getenv("LOAD_PROGRAM");
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    fprintf(stderr, "%s\n", dlerror());
    return 2;
  }
  const auto program = reinterpret_cast<int (*)(int, char **)>(dlsym(library, "main"));
  if (program == nullptr) {
    fprintf(stderr, "%s has no main\n", path);
    return 2;
  }
  return program(argc, argv);
}
