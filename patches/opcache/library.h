// The MKL-DNN that this process has loaded, whatever its interface: where it is, which build it is.
// Finds and reads; never loads or unloads it, and knows nothing of the cache.
#ifndef OPCACHE_LIBRARY_H_
#define OPCACHE_LIBRARY_H_

#include <link.h>

namespace opcache {

struct Library {
  void *handle;  // dlopen's; kept, so the library stays until the process ends
  const struct link_map *map;
  char build_id[65];    // hexadecimal; empty when the library carries none
  const char *release;  // nullptr: not recognised, pass everything through
};

// Resolves on the first call; thread-safe. nullptr when no libmkldnn.so.0 is loaded in this
// process, or when it lacks a function we forward to (one line on stderr says which), and for good:
// ask library_is_loaded() first where MKL-DNN may not be there yet. Defined by the interface
// (api0/).
const Library *library();

// Tells whether calls have come here that a MKL-DNN serves. Also the interface's.
bool library_in_use();

// Tells whether this process has loaded a libmkldnn.so.0. Says nothing and decides nothing.
bool library_is_loaded();

// Fills in all but the release; false: it is not loaded.
bool open_library(Library *found);

// Makes sure that this library of ours is never unloaded; false: it could be.
bool stay_loaded();

extern const char kLibraryName[];

}  // namespace opcache

#endif  // OPCACHE_LIBRARY_H_
