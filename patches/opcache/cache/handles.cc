#include "cache/handles.h"

#include <stdlib.h>
#include <string.h>

#include "cache/pointer_map.h"

namespace opcache {

namespace {

PointerMap<Descriptor> g_descriptors;
PointerMap<Primitive> g_primitives;

}  // namespace

const Destroyers *g_destroyers = nullptr;
Totals g_totals;

Descriptor *find_descriptor(const mkldnn_primitive_desc *handle) {
  return handle != nullptr ? g_descriptors.find(handle) : nullptr;
}

Primitive *find_primitive(const mkldnn_primitive *handle) {
  return handle != nullptr ? g_primitives.find(handle) : nullptr;
}

bool add_handle(Descriptor *d) {
  if (!g_descriptors.insert(d->real, d)) return false;
  add(&g_totals.descriptors, 1);
  return true;
}

bool add_handle(Primitive *p) {
  if (!g_primitives.insert(p->real, p)) return false;
  if (!p->memory_object) add(&g_totals.primitives, 1);
  add(&g_totals.primitive_bytes, static_cast<ptrdiff_t>(p->bytes));
  return true;
}

void retain(Descriptor *d) { d->references.fetch_add(1, std::memory_order_relaxed); }

void drop_reference(Descriptor *d) {
  if (d->references.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  for (int i = 0; i < d->layout_count; ++i) drop_reference(d->layout_of[i]);
  g_descriptors.erase(d->real);
  subtract(&g_totals.descriptors, 1);
  g_destroyers->descriptor(d);
  free(d);
}

void destroy_additions(Primitive *p) {
  if (p->substitute != nullptr || p->shadow != nullptr) g_destroyers->additions(p);
}

uint64_t destroy(Primitive *p) {
  destroy_additions(p);
  g_primitives.erase(p->real);
  if (!p->memory_object) subtract(&g_totals.primitives, 1);
  subtract(&g_totals.primitive_bytes, p->bytes);
  const uint64_t start = ticks();
  g_destroyers->primitive(p);
  const uint64_t elapsed = ticks() - start;
  free(p);
  return elapsed;
}

bool anything_cached() {
  return g_totals.descriptors.load(std::memory_order_relaxed) != 0 ||
         g_totals.primitives.load(std::memory_order_relaxed) != 0;
}

pthread_mutex_t *descriptor_handles_mutex() { return g_descriptors.mutex(); }
pthread_mutex_t *primitive_handles_mutex() { return g_primitives.mutex(); }

void *allocate_record(size_t bytes) {
  void *memory = nullptr;
  if (posix_memalign(&memory, 64, bytes) != 0) return nullptr;
  memset(memory, 0, bytes);
  return memory;
}

}  // namespace opcache
