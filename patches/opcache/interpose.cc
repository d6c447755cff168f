// The exported functions. Each shadows the function of the same name in MKL-DNN and goes to the
// function of ours that the interface of the loaded MKL-DNN has for it (api0/calls.cc,
// api1/calls.cc), or elsewhere: see route.h.
#include "cache/registry.h"
#include "cache/thread_cache.h"
#include "opcache.h"
#include "report/stats.h"
#include "route.h"
#include "settings/settings.h"

namespace opcache {

namespace {

// What the functions answer in a process without MKL-DNN: mkldnn_runtime_error, or nothing.
int unserved_status() { return 7; }
void *unserved_pointer() { return nullptr; }

}  // namespace

}  // namespace opcache

#define OPCACHE_EXPORT(name) OPCACHE_ROUTE(mkldnn_##name, opcache::unserved_status)
#define OPCACHE_EXPORT_POINTER(name) OPCACHE_ROUTE(mkldnn_##name, opcache::unserved_pointer)

// Of both interfaces.
OPCACHE_EXPORT(primitive_desc_create);
OPCACHE_EXPORT(primitive_desc_iterator_create);
OPCACHE_EXPORT(primitive_desc_iterator_next);
OPCACHE_EXPORT_POINTER(primitive_desc_iterator_fetch);
OPCACHE_EXPORT(primitive_desc_iterator_destroy);
OPCACHE_EXPORT(reorder_primitive_desc_create);
OPCACHE_EXPORT(sum_primitive_desc_create);
OPCACHE_EXPORT(concat_primitive_desc_create);
OPCACHE_EXPORT(primitive_desc_clone);
OPCACHE_EXPORT(primitive_desc_destroy);
OPCACHE_EXPORT(primitive_create);
OPCACHE_EXPORT(primitive_destroy);
OPCACHE_EXPORT(engine_destroy);
// Of 0.x.
OPCACHE_EXPORT(primitive_desc_create_v2);
OPCACHE_EXPORT(primitive_desc_iterator_create_v2);
OPCACHE_EXPORT(reorder_primitive_desc_create_v2);
OPCACHE_EXPORT(memory_primitive_desc_create);
OPCACHE_EXPORT_POINTER(primitive_desc_query_pd);
OPCACHE_EXPORT(primitive_get_primitive_desc);
OPCACHE_EXPORT(primitive_get_input_at);
OPCACHE_EXPORT(primitive_get_output);
OPCACHE_EXPORT(stream_create);
OPCACHE_EXPORT(stream_submit);
OPCACHE_EXPORT(stream_wait);
OPCACHE_EXPORT(stream_rerun);
OPCACHE_EXPORT(stream_destroy);
// Of 1.x.
OPCACHE_EXPORT(primitive_execute);
OPCACHE_EXPORT(primitive_attr_set_rnn_data_qparams);
OPCACHE_EXPORT(primitive_attr_set_rnn_weights_qparams);

// What programs call (opcache.h); there is nothing of that name elsewhere.
#define OPCACHE_API extern "C" __attribute__((visibility("default")))

OPCACHE_API size_t mkldnn_opcache_stats_json(char *buffer, size_t size) {
  return opcache::stats_json(buffer, size);
}

OPCACHE_API void mkldnn_opcache_reset_stats(void) { opcache::Registry::get().reset(); }

OPCACHE_API void mkldnn_opcache_clear(void) {
  opcache::request_clear();
  opcache::ThreadCache::apply_settings_here();
}

OPCACHE_API size_t mkldnn_opcache_get_scope(char *buffer, size_t size) {
  return opcache::scope_text(buffer, size);
}

OPCACHE_API int mkldnn_opcache_set_scope(const char *scope, char *bad_word, size_t size) {
  return opcache::change_scope(scope, bad_word, size);
}

OPCACHE_API size_t mkldnn_opcache_get_capacity(void) { return opcache::capacity(); }

OPCACHE_API int mkldnn_opcache_set_capacity(size_t capacity) {
  if (!opcache::change_capacity(capacity)) return 1;
  opcache::ThreadCache::apply_settings_here();
  return 0;
}

OPCACHE_API size_t mkldnn_opcache_get_memory(void) { return opcache::memory_bound(); }

OPCACHE_API int mkldnn_opcache_set_memory(size_t bytes) {
  if (!opcache::change_memory(bytes)) return 1;
  opcache::ThreadCache::apply_settings_here();
  return 0;
}

OPCACHE_API void mkldnn_opcache_pause(void) { opcache::begin_pause(); }

OPCACHE_API int mkldnn_opcache_resume(void) { return opcache::end_pause() ? 0 : 1; }
