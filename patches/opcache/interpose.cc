// The exported functions. Each shadows the function of the same name in libmkldnn.so.0 and
// forwards; what to do is decided in descriptors.cc, primitives.cc and streams.cc, and whether the
// call is ours at all in route.cc.
#include <mkldnn.h>

#include <type_traits>

#include "api0/calls.h"
#include "cache/cache.h"
#include "opcache.h"
#include "route.h"
#include "settings/settings.h"

using namespace opcache;

// Exports mkldnn_NAME, which goes to the function NAME of this file or, see route.h, elsewhere.
#define OPCACHE_EXPORT(name)                                                                 \
  static_assert(std::is_same<decltype(&name), decltype(&mkldnn_##name)>::value, "mkldnn.h"); \
  OPCACHE_ROUTE(mkldnn_##name, name)

static mkldnn_status_t primitive_desc_create(mkldnn_primitive_desc_t *result,
                                             const_mkldnn_op_desc_t op_desc, mkldnn_engine_t engine,
                                             const_mkldnn_primitive_desc_t hint) {
  return create_operation(result, op_desc, nullptr, engine, hint);
}
OPCACHE_EXPORT(primitive_desc_create);

static mkldnn_status_t primitive_desc_create_v2(mkldnn_primitive_desc_t *result,
                                                const_mkldnn_op_desc_t op_desc,
                                                const_mkldnn_primitive_attr_t attr,
                                                mkldnn_engine_t engine,
                                                const_mkldnn_primitive_desc_t hint) {
  return create_operation(result, op_desc, attr, engine, hint);
}
OPCACHE_EXPORT(primitive_desc_create_v2);

static mkldnn_status_t primitive_desc_iterator_create(mkldnn_primitive_desc_iterator_t *result,
                                                      const_mkldnn_op_desc_t op_desc,
                                                      mkldnn_engine_t engine,
                                                      const_mkldnn_primitive_desc_t hint) {
  return create_iterator(result, op_desc, nullptr, engine, hint);
}
OPCACHE_EXPORT(primitive_desc_iterator_create);

static mkldnn_status_t primitive_desc_iterator_create_v2(mkldnn_primitive_desc_iterator_t *result,
                                                         const_mkldnn_op_desc_t op_desc,
                                                         const_mkldnn_primitive_attr_t attr,
                                                         mkldnn_engine_t engine,
                                                         const_mkldnn_primitive_desc_t hint) {
  return create_iterator(result, op_desc, attr, engine, hint);
}
OPCACHE_EXPORT(primitive_desc_iterator_create_v2);

static mkldnn_status_t primitive_desc_iterator_next(mkldnn_primitive_desc_iterator_t iterator) {
  return next_implementation(iterator);
}
OPCACHE_EXPORT(primitive_desc_iterator_next);

static mkldnn_primitive_desc_t primitive_desc_iterator_fetch(
    const_mkldnn_primitive_desc_iterator_t iterator) {
  return fetch_implementation(iterator);
}
OPCACHE_EXPORT(primitive_desc_iterator_fetch);

static mkldnn_status_t primitive_desc_iterator_destroy(mkldnn_primitive_desc_iterator_t iterator) {
  return destroy_iterator(iterator);
}
OPCACHE_EXPORT(primitive_desc_iterator_destroy);

static mkldnn_status_t reorder_primitive_desc_create(mkldnn_primitive_desc_t *result,
                                                     const_mkldnn_primitive_desc_t input,
                                                     const_mkldnn_primitive_desc_t output) {
  return create_reorder(result, input, output, nullptr);
}
OPCACHE_EXPORT(reorder_primitive_desc_create);

static mkldnn_status_t reorder_primitive_desc_create_v2(mkldnn_primitive_desc_t *result,
                                                        const_mkldnn_primitive_desc_t input,
                                                        const_mkldnn_primitive_desc_t output,
                                                        const_mkldnn_primitive_attr_t attr) {
  return create_reorder(result, input, output, attr);
}
OPCACHE_EXPORT(reorder_primitive_desc_create_v2);

static mkldnn_status_t sum_primitive_desc_create(mkldnn_primitive_desc_t *result,
                                                 const mkldnn_memory_desc_t *output, int n,
                                                 const float *scales,
                                                 const_mkldnn_primitive_desc_t *inputs) {
  return create_sum(result, output, n, scales, inputs);
}
OPCACHE_EXPORT(sum_primitive_desc_create);

static mkldnn_status_t concat_primitive_desc_create(mkldnn_primitive_desc_t *result,
                                                    const mkldnn_memory_desc_t *output, int n,
                                                    int concat_dimension,
                                                    const_mkldnn_primitive_desc_t *inputs) {
  return create_concat(result, output, n, concat_dimension, inputs);
}
OPCACHE_EXPORT(concat_primitive_desc_create);

static mkldnn_status_t memory_primitive_desc_create(mkldnn_primitive_desc_t *result,
                                                    const mkldnn_memory_desc_t *desc,
                                                    mkldnn_engine_t engine) {
  return create_memory_descriptor(result, desc, engine);
}
OPCACHE_EXPORT(memory_primitive_desc_create);

static const_mkldnn_primitive_desc_t primitive_desc_query_pd(
    const_mkldnn_primitive_desc_t descriptor, mkldnn_query_t what, int index) {
  return query_descriptor(descriptor, what, index);
}
OPCACHE_EXPORT(primitive_desc_query_pd);

static mkldnn_status_t primitive_desc_clone(mkldnn_primitive_desc_t *result,
                                            const_mkldnn_primitive_desc_t existing) {
  return clone_descriptor(result, existing);
}
OPCACHE_EXPORT(primitive_desc_clone);

static mkldnn_status_t primitive_desc_destroy(mkldnn_primitive_desc_t descriptor) {
  return destroy_descriptor(descriptor);
}
OPCACHE_EXPORT(primitive_desc_destroy);

static mkldnn_status_t primitive_create(mkldnn_primitive_t *result,
                                        const_mkldnn_primitive_desc_t descriptor,
                                        const mkldnn_primitive_at_t *inputs,
                                        const_mkldnn_primitive_t *outputs) {
  return create_primitive(result, descriptor, inputs, outputs);
}
OPCACHE_EXPORT(primitive_create);

static mkldnn_status_t primitive_destroy(mkldnn_primitive_t primitive) {
  return destroy_primitive(primitive);
}
OPCACHE_EXPORT(primitive_destroy);

static mkldnn_status_t primitive_get_primitive_desc(const_mkldnn_primitive_t primitive,
                                                    const_mkldnn_primitive_desc_t *descriptor) {
  return get_descriptor(primitive, descriptor);
}
OPCACHE_EXPORT(primitive_get_primitive_desc);

static mkldnn_status_t primitive_get_input_at(const_mkldnn_primitive_t primitive, size_t index,
                                              mkldnn_primitive_at_t *input) {
  return get_input(primitive, index, input);
}
OPCACHE_EXPORT(primitive_get_input_at);

static mkldnn_status_t primitive_get_output(const_mkldnn_primitive_t primitive, size_t index,
                                            const_mkldnn_primitive_t *output) {
  return get_output(primitive, index, output);
}
OPCACHE_EXPORT(primitive_get_output);

static mkldnn_status_t stream_create(mkldnn_stream_t *result, mkldnn_stream_kind_t kind) {
  return create_stream(result, kind);
}
OPCACHE_EXPORT(stream_create);

static mkldnn_status_t stream_submit(mkldnn_stream_t stream, size_t n,
                                     mkldnn_primitive_t primitives[],
                                     mkldnn_primitive_t *error_primitive) {
  return submit(stream, n, primitives, error_primitive);
}
OPCACHE_EXPORT(stream_submit);

static mkldnn_status_t stream_wait(mkldnn_stream_t stream, int block,
                                   mkldnn_primitive_t *error_primitive) {
  return wait(stream, block, error_primitive);
}
OPCACHE_EXPORT(stream_wait);

static mkldnn_status_t stream_rerun(mkldnn_stream_t stream, mkldnn_primitive_t *error_primitive) {
  return rerun(stream, error_primitive);
}
OPCACHE_EXPORT(stream_rerun);

static mkldnn_status_t stream_destroy(mkldnn_stream_t stream) { return destroy_stream(stream); }
OPCACHE_EXPORT(stream_destroy);

static mkldnn_status_t engine_destroy(mkldnn_engine_t engine) { return destroy_engine(engine); }
OPCACHE_EXPORT(engine_destroy);

// What programs call (opcache.h); there is nothing of that name elsewhere.
#define OPCACHE_API extern "C" __attribute__((visibility("default")))

OPCACHE_API size_t mkldnn_opcache_stats_json(char *buffer, size_t size) {
  return stats_json(buffer, size);
}

OPCACHE_API void mkldnn_opcache_reset_stats(void) { reset_stats(); }

OPCACHE_API void mkldnn_opcache_clear(void) {
  demand_clear();
  ThreadCache::follow_settings();
}

OPCACHE_API size_t mkldnn_opcache_get_scope(char *buffer, size_t size) {
  return scope_text(buffer, size);
}

OPCACHE_API int mkldnn_opcache_set_scope(const char *scope, char *bad_word, size_t size) {
  return change_scope(scope, bad_word, size);
}

OPCACHE_API size_t mkldnn_opcache_get_capacity(void) { return capacity(); }

OPCACHE_API int mkldnn_opcache_set_capacity(size_t capacity) {
  if (!change_capacity(capacity)) return 1;
  ThreadCache::follow_settings();
  return 0;
}

OPCACHE_API size_t mkldnn_opcache_get_memory(void) { return memory_bound(); }

OPCACHE_API int mkldnn_opcache_set_memory(size_t bytes) {
  if (!change_memory(bytes)) return 1;
  ThreadCache::follow_settings();
  return 0;
}

OPCACHE_API void mkldnn_opcache_pause(void) { begin_pause(); }

OPCACHE_API int mkldnn_opcache_resume(void) { return end_pause() ? 0 : 1; }
