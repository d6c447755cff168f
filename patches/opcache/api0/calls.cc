// Which function of ours stands for which of MKL-DNN 0.14 to 0.19.
#include "api0/calls.h"

namespace opcache {

namespace {

// Refuses a function whose type is not that of mkldnn.h's.
template <class Function>
constexpr Function of_type(Function function) {
  return function;
}

}  // namespace

#define OPCACHE_CALL(name, function) \
  {"mkldnn_" #name, reinterpret_cast<const void *>(of_type<decltype(&mkldnn_##name)>(&function))}

const Call kCalls[] = {
    OPCACHE_CALL(primitive_desc_create, create_operation_v1),
    OPCACHE_CALL(primitive_desc_create_v2, create_operation),
    OPCACHE_CALL(primitive_desc_iterator_create, create_iterator_v1),
    OPCACHE_CALL(primitive_desc_iterator_create_v2, create_iterator),
    OPCACHE_CALL(primitive_desc_iterator_next, next_implementation),
    OPCACHE_CALL(primitive_desc_iterator_fetch, fetch_implementation),
    OPCACHE_CALL(primitive_desc_iterator_destroy, destroy_iterator),
    OPCACHE_CALL(reorder_primitive_desc_create, create_reorder_v1),
    OPCACHE_CALL(reorder_primitive_desc_create_v2, create_reorder),
    OPCACHE_CALL(sum_primitive_desc_create, create_sum),
    OPCACHE_CALL(concat_primitive_desc_create, create_concat),
    OPCACHE_CALL(memory_primitive_desc_create, create_memory_descriptor),
    OPCACHE_CALL(primitive_desc_query_pd, query_descriptor),
    OPCACHE_CALL(primitive_desc_clone, clone_descriptor),
    OPCACHE_CALL(primitive_desc_destroy, destroy_descriptor),
    OPCACHE_CALL(primitive_create, create_primitive),
    OPCACHE_CALL(primitive_destroy, destroy_primitive),
    OPCACHE_CALL(primitive_get_primitive_desc, get_descriptor),
    OPCACHE_CALL(primitive_get_input_at, get_input),
    OPCACHE_CALL(primitive_get_output, get_output),
    OPCACHE_CALL(stream_create, create_stream),
    OPCACHE_CALL(stream_submit, submit),
    OPCACHE_CALL(stream_wait, wait),
    OPCACHE_CALL(stream_rerun, rerun),
    OPCACHE_CALL(stream_destroy, destroy_stream),
    OPCACHE_CALL(engine_destroy, destroy_engine),
    {nullptr, nullptr},
};

}  // namespace opcache
