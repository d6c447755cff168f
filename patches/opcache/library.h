// The MKL-DNN that this process has loaded, whatever its interface: where it is, which build it is.
// Finds and reads; never loads or unloads it.
#ifndef OPCACHE_LIBRARY_H_
#define OPCACHE_LIBRARY_H_

#include <link.h>

namespace opcache {

// A function of the C API and the one of ours that is called in its place.
struct Call {
  const char *name;
  const void *function;
};

// Of a library that is not recognised: its calls go straight to it.
extern const Call kNoCalls[];

struct Destroyers;  // cache/handles.h

struct Library {
  const char *name;              // libmkldnn.so.0 or libmkldnn.so.1
  const Call *calls;             // those that are ours, up to a name that is nullptr
  const Destroyers *destroyers;  // of records, where this library is the one in use
  void *handle;                  // dlopen's; kept, so the library stays until the process ends
  const struct link_map *map;
  char build_id[65];    // hexadecimal; empty when the library carries none
  const char *release;  // nullptr: not recognised, pass everything through
};

// Decides on the first call, and for good; thread-safe. nullptr when no MKL-DNN is loaded in this
// process, or two are, or when it lacks a function we forward to (one line on stderr says which):
// ask library_is_loaded() first where MKL-DNN may not be there yet.
const Library *library();
// For who only looks: what library() would return now, but decides nothing.
const Library *library_so_far();
// The loaded one of one interface's releases, resolved on the first call; defined in its folder.
const Library *api0_library();
const Library *api1_library();

// Tells whether library() has found one, or two.
bool library_in_use();
bool two_libraries();

// Tells whether this process has loaded an MKL-DNN. Says nothing and decides nothing.
bool library_is_loaded();

// The function of that name in the MKL-DNN that the library with that handle is linked to; nullptr
// when that is none of ours, or two.
void *linked_function(void *handle, const char *name);

// Fills in name, handle, map and build-id; false: it is not loaded.
bool open_library(const char *name, Library *found);

// Makes sure that this library of ours is never unloaded; false: it could be.
bool stay_loaded();

}  // namespace opcache

#endif  // OPCACHE_LIBRARY_H_
