// Streams: cached primitives are pointed at their callers' data before each execution. An eager
// stream executes in submit, a lazy one in wait, and rerun executes again what was submitted, so a
// wrapped stream remembers its cached primitives. Like the real one, it relies on the caller not to
// destroy them while it may still execute them. A stream that cannot remember or rebind, because
// memory is short, submits real primitives in their place.
#include <stdlib.h>
#include <string.h>

#include "api0/binding.h"
#include "api0/calls.h"
#include "api0/policy.h"
#include "api0/shadow.h"

namespace opcache {

namespace {

const char kStreamMark = 0;

struct Stream {
  const void *mark;  // a real stream's first word is its vtable, never this address
  mkldnn_stream_t real;
  bool lazy;
  bool stopped;  // between wait and rerun: else a rerun is refused
  size_t count;
  size_t capacity;
  Primitive **cached;  // `count` of them; points to `few` until there are more
  Primitive *few[6];
};

Stream *ours(mkldnn_stream_t handle) {
  Stream *s = reinterpret_cast<Stream *>(handle);
  return s != nullptr && s->mark == &kStreamMark ? s : nullptr;
}

bool remember(Stream *s, Primitive *p) {
  if (s->count == s->capacity) {
    const size_t capacity = 2 * s->capacity;
    Primitive **const old = s->cached != s->few ? s->cached : nullptr;
    Primitive **const more = static_cast<Primitive **>(realloc(old, capacity * sizeof(*more)));
    if (more == nullptr) return false;
    if (old == nullptr) memcpy(more, s->few, sizeof(s->few));
    s->cached = more;
    s->capacity = capacity;
  }
  s->cached[s->count++] = p;
  return true;
}

mkldnn_status_t rebind_all(const Real &r, Stream *s, size_t first) {
  for (size_t i = first; i < s->count; ++i) {
    const mkldnn_status_t status = rebind(r, s->cached[i]);
    if (status != mkldnn_success) return status;
  }
  return mkldnn_success;
}

// Before a lazy stream or a rerun executes all that was submitted.
mkldnn_status_t rebind_for_replay(const Real &r, Stream *s) {
  ThreadCache *const cache = ThreadCache::mine();
  for (size_t i = 0; shadowing() && cache != nullptr && i < s->count; ++i) {
    count_unshadowed(cache, s->cached[i]);
  }
  return rebind_all(r, s, 0);
}

// Remembers the cached ones among the primitives, and rebinds them where submit executes.
mkldnn_status_t prepare(const Real &r, Stream *s, size_t n, const mkldnn_primitive_t *primitives) {
  CacheTime time(ThreadCache::mine());
  const size_t first = s->count;
  for (size_t i = 0; primitives != nullptr && i < n; ++i) {
    Primitive *const p = find_primitive(primitives[i]);
    if (p != nullptr && !remember(s, p)) return mkldnn_out_of_memory;
  }
  return s->lazy ? mkldnn_success : rebind_all(r, s, first);
}

// Submits to a real stream that knows nothing of rebinding: each cached primitive by a real one in
// its place, which reads the caller's memory objects itself, now and in every rerun.
mkldnn_status_t submit_substitutes(const Real &r, mkldnn_stream_t stream, size_t n,
                                   mkldnn_primitive_t *primitives,
                                   mkldnn_primitive_t *error_primitive) {
  bool any = false;
  for (size_t i = 0; primitives != nullptr && i < n; ++i) {
    // What the real library refuses, it refuses as a whole.
    if (primitives[i] == nullptr) return r.stream_submit(stream, n, primitives, error_primitive);
    Primitive *const p = find_primitive(primitives[i]);
    if (p == nullptr) continue;
    const mkldnn_status_t status = make_substitute(r, ThreadCache::mine(), p);
    if (status != mkldnn_success) return status;
    any = true;
  }
  if (!any) return r.stream_submit(stream, n, primitives, error_primitive);
  for (size_t i = 0; i < n; ++i) {
    const Primitive *const p = find_primitive(primitives[i]);
    mkldnn_primitive_t real = p != nullptr && p->bindings > 0 ? p->substitute : primitives[i];
    const mkldnn_status_t status = r.stream_submit(stream, 1, &real, error_primitive);
    if (status == mkldnn_success) continue;
    if (error_primitive != nullptr && *error_primitive == real) *error_primitive = primitives[i];
    return status;
  }
  return mkldnn_success;
}

}  // namespace

mkldnn_status_t create_stream(mkldnn_stream_t *result, mkldnn_stream_kind_t kind) {
  const Real &r = real();
  // Whether or not anything is cached now: the stream may outlive a change of scope.
  ThreadCache *const cache = cache_if(result != nullptr);
  if (cache == nullptr) return r.stream_create(result, kind);
  Stream *s = static_cast<Stream *>(cache->allocate(ThreadCache::kStreams, sizeof(Stream)));
  if (s == nullptr) {
    count_bypass(cache, kOutOfMemory);
    return r.stream_create(result, kind);
  }
  const mkldnn_status_t status = r.stream_create(&s->real, kind);
  if (status != mkldnn_success) {
    ThreadCache::free_record(ThreadCache::kStreams, s);
    return status;
  }
  s->mark = &kStreamMark;
  s->lazy = kind == mkldnn_lazy;
  s->stopped = false;
  s->count = 0;
  s->capacity = sizeof(s->few) / sizeof(s->few[0]);
  s->cached = s->few;
  *result = reinterpret_cast<mkldnn_stream_t>(s);
  return mkldnn_success;
}

mkldnn_status_t submit(mkldnn_stream_t stream, size_t n, mkldnn_primitive_t *primitives,
                       mkldnn_primitive_t *error_primitive) {
  const Real &r = real();
  Stream *const s = ours(stream);
  if (s == nullptr) return submit_substitutes(r, stream, n, primitives, error_primitive);
  const size_t first = s->count;
  if (prepare(r, s, n, primitives) != mkldnn_success) {
    s->count = first;
    return submit_substitutes(r, s->real, n, primitives, error_primitive);
  }
  ThreadCache *const cache = shadowing() && !s->lazy ? ThreadCache::mine() : nullptr;
  const mkldnn_status_t status =
      cache != nullptr ? submit_shadowed(r, cache, s->real, n, primitives, error_primitive)
                       : r.stream_submit(s->real, n, primitives, error_primitive);
  // What was not submitted will not be executed, and its caller may destroy it.
  if (status != mkldnn_success) s->count = first;
  return status;
}

mkldnn_status_t wait(mkldnn_stream_t stream, int block, mkldnn_primitive_t *error_primitive) {
  const Real &r = real();
  Stream *const s = ours(stream);
  if (s == nullptr) return r.stream_wait(stream, block, error_primitive);
  if (s->lazy) {
    const mkldnn_status_t status = rebind_for_replay(r, s);
    if (status != mkldnn_success) return status;
  }
  s->stopped = true;
  return r.stream_wait(s->real, block, error_primitive);
}

mkldnn_status_t rerun(mkldnn_stream_t stream, mkldnn_primitive_t *error_primitive) {
  const Real &r = real();
  Stream *const s = ours(stream);
  if (s == nullptr) return r.stream_rerun(stream, error_primitive);
  // The real library refuses it without reading the primitives, which may be destroyed.
  if (!s->stopped) return r.stream_rerun(s->real, error_primitive);
  const mkldnn_status_t status = rebind_for_replay(r, s);
  if (status != mkldnn_success) return status;
  s->stopped = false;
  return r.stream_rerun(s->real, error_primitive);
}

mkldnn_status_t destroy_stream(mkldnn_stream_t stream) {
  const Real &r = real();
  Stream *const s = ours(stream);
  if (s == nullptr) return r.stream_destroy(stream);
  const mkldnn_status_t status = r.stream_destroy(s->real);
  if (s->cached != s->few) free(s->cached);
  s->mark = nullptr;  // a handle used after this is not taken for a live one
  ThreadCache::free_record(ThreadCache::kStreams, s);
  return status;
}

}  // namespace opcache
