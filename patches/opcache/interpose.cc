// The exported functions. Each shadows the function of the same name in libmkldnn.so.0 and goes to
// the function of ours that stands beside it here (api0/calls.h), unless route.cc finds that the
// call is not ours.
#include <mkldnn.h>

#include <type_traits>

#include "api0/calls.h"
#include "cache/registry.h"
#include "cache/thread_cache.h"
#include "opcache.h"
#include "report/stats.h"
#include "route.h"
#include "settings/settings.h"

namespace opcache {

namespace {

mkldnn_status_t failure(mkldnn_status_t *) { return mkldnn_runtime_error; }
template <class T>
T *failure(T **) {
  return nullptr;
}

// What every function answers in a process without MKL-DNN.
template <class Function>
struct Unserved;
template <class Result, class... Arguments>
struct Unserved<Result (*)(Arguments...)> {
  static Result call(Arguments...) { return failure(static_cast<Result *>(nullptr)); }
};

}  // namespace

}  // namespace opcache

// Exports mkldnn_NAME, which goes to opcache::FUNCTION or, see route.h, elsewhere.
#define OPCACHE_EXPORT(name, function)                                                       \
  static_assert(std::is_same<decltype(&opcache::function), decltype(&mkldnn_##name)>::value, \
                "mkldnn.h");                                                                 \
  OPCACHE_ROUTE(mkldnn_##name, opcache::function, opcache::Unserved<decltype(&mkldnn_##name)>::call)

OPCACHE_EXPORT(primitive_desc_create, create_operation_v1);
OPCACHE_EXPORT(primitive_desc_create_v2, create_operation);
OPCACHE_EXPORT(primitive_desc_iterator_create, create_iterator_v1);
OPCACHE_EXPORT(primitive_desc_iterator_create_v2, create_iterator);
OPCACHE_EXPORT(primitive_desc_iterator_next, next_implementation);
OPCACHE_EXPORT(primitive_desc_iterator_fetch, fetch_implementation);
OPCACHE_EXPORT(primitive_desc_iterator_destroy, destroy_iterator);
OPCACHE_EXPORT(reorder_primitive_desc_create, create_reorder_v1);
OPCACHE_EXPORT(reorder_primitive_desc_create_v2, create_reorder);
OPCACHE_EXPORT(sum_primitive_desc_create, create_sum);
OPCACHE_EXPORT(concat_primitive_desc_create, create_concat);
OPCACHE_EXPORT(memory_primitive_desc_create, create_memory_descriptor);
OPCACHE_EXPORT(primitive_desc_query_pd, query_descriptor);
OPCACHE_EXPORT(primitive_desc_clone, clone_descriptor);
OPCACHE_EXPORT(primitive_desc_destroy, destroy_descriptor);
OPCACHE_EXPORT(primitive_create, create_primitive);
OPCACHE_EXPORT(primitive_destroy, destroy_primitive);
OPCACHE_EXPORT(primitive_get_primitive_desc, get_descriptor);
OPCACHE_EXPORT(primitive_get_input_at, get_input);
OPCACHE_EXPORT(primitive_get_output, get_output);
OPCACHE_EXPORT(stream_create, create_stream);
OPCACHE_EXPORT(stream_submit, submit);
OPCACHE_EXPORT(stream_wait, wait);
OPCACHE_EXPORT(stream_rerun, rerun);
OPCACHE_EXPORT(stream_destroy, destroy_stream);
OPCACHE_EXPORT(engine_destroy, destroy_engine);

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
