#include "api1/shadow.h"

#include <stdio.h>
#include <string.h>

#include "api1/calls.h"

namespace opcache {
namespace api1 {

namespace {

// Arguments that a primitive may write: all but sources, weights, bias and gradients of outputs.
bool may_be_output(int argument) {
  const bool source = argument >= 1 && argument < 17;
  const bool weights = argument >= 33 && argument < 49;
  const bool diff_destination = argument >= 145 && argument < 161;
  const bool one_of_many_sources = argument >= 1024 && argument < 2048;
  return !source && !weights && !diff_destination && !one_of_many_sources;
}

bool save_outputs(const Real &r, int n, const Argument *arguments, Comparison *comparison) {
  for (int i = 0; i < n; ++i) {
    if (!may_be_output(arguments[i].index) || arguments[i].memory == nullptr) continue;
    const MemoryDesc *md = nullptr;
    void *data = nullptr;
    if (r.memory_get_memory_desc(arguments[i].memory, &md) != kSuccess ||
        r.memory_get_data_handle(arguments[i].memory, &data) != kSuccess) {
      return false;
    }
    // Of a part of a tensor MKL-DNN does not say where it ends.
    const size_t bytes = md->offset0 == 0 ? r.memory_desc_get_size(md) : 0;
    if (md->ndims != 0 && !comparison->save(data, bytes)) return false;
  }
  return true;
}

}  // namespace

bool differ(const Real &r, const mkldnn_primitive_desc *cached, const mkldnn_primitive_desc *fresh,
            const Descriptor *, char *what, size_t size) {
  const char *names[2] = {"", ""};
  const bool named =
      r.primitive_desc_query(cached, kQueryImplementation, 0, &names[0]) == kSuccess &&
      r.primitive_desc_query(fresh, kQueryImplementation, 0, &names[1]) == kSuccess;
  if (named && strcmp(names[0], names[1]) != 0) {
    snprintf(what, size, "the implementation is %s from the cache, %s created now", names[0],
             names[1]);
    return true;
  }
  for (int query = kQuerySrc; query <= kQueryScratchpad; ++query) {
    for (int index = 0; index < 3; ++index) {
      const MemoryDesc *const a = r.primitive_desc_query_md(cached, query, index);
      const MemoryDesc *const b = r.primitive_desc_query_md(fresh, query, index);
      if (a == nullptr && b == nullptr) continue;
      if (a == nullptr || b == nullptr || r.memory_desc_equal(a, b) == 0) {
        snprintf(what, size, "the layout %d of query %d is another", index, query);
        return true;
      }
    }
  }
  return false;
}

Status create_shadow(const Real &r, Primitive *, const mkldnn_primitive_desc *descriptor,
                     mkldnn_primitive **result) {
  return r.primitive_create(result, descriptor);
}

Status execute(const mkldnn_primitive *primitive, Stream *stream, int n,
               const Argument *arguments) {
  const Real &r = real();
  const Primitive *const p = find_primitive(primitive);
  ThreadCache *const cache =
      p != nullptr && p->shadow != nullptr && arguments != nullptr ? ThreadCache::mine() : nullptr;
  if (cache == nullptr) return r.primitive_execute(primitive, stream, n, arguments);
  Comparison comparison;
  bool comparable = save_outputs(r, n, arguments, &comparison);
  if (comparable) {
    comparable = r.primitive_execute(p->shadow->real, stream, n, arguments) == kSuccess;
    comparison.undo();
  }
  const Status status = r.primitive_execute(primitive, stream, n, arguments);
  if (status != kSuccess) return status;
  cache->counters().shadow[comparable ? kShadowExecutions : kShadowSkipped].add(1);
  char what[256];
  if (comparable && comparison.differs(what, sizeof(what))) {
    mismatch(cache, p->descriptor, what, p->shadow->descriptor->text);
  }
  return status;
}

}  // namespace api1
}  // namespace opcache
