// Points the calls that a loaded library makes to some functions of others' at functions of ours:
// rewrites the words of its global offset table that the dynamic linker filled in for these names.
// Changes all of them or none, and leaves the pages protected as they were.
#ifndef OPCACHE_MEMORY_GOT_H_
#define OPCACHE_MEMORY_GOT_H_

#include <link.h>
#include <stddef.h>

namespace opcache {

struct Redirection {
  const char *function;  // its symbol's name
  void *to;
  void *original;  // out: what was called; nullptr when the library does not call it
};

// What the library calls by that name, or would call: the one of several libraries that define it
// whose state it shares. nullptr when there is none. Changes nothing.
void *called_function(const struct link_map *library, void *handle, const char *name);

// The most slots that a library may have for the redirected functions.
const size_t kMaxRedirectedSlots = 128;

// Fills in the originals before any slot is changed; `handle` is the library's. Returns how many
// functions are redirected; 0, with the reason in *why, when nothing was changed.
size_t redirect(const struct link_map *library, void *handle, Redirection *redirections, size_t n,
                const char **why);

}  // namespace opcache

#endif  // OPCACHE_MEMORY_GOT_H_
