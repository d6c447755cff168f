// Which function of ours stands for which of MKL-DNN 1.0.
#include "api1/calls.h"

#include "api1/real.h"
#include "shared/shadow.h"

namespace opcache {
namespace api1 {

namespace {

// Refuses a function whose type is not that of the real one.
template <class Function>
constexpr Function of_type(Function function) {
  return function;
}

#define OPCACHE_CALL(name, function) \
  {"mkldnn_" #name, reinterpret_cast<const void *>(of_type<decltype(Real::name)>(&function))}

const Call kCalls[] = {
    OPCACHE_CALL(primitive_execute, execute),  // first, to be left out
    OPCACHE_CALL(primitive_desc_create, create_operation),
    OPCACHE_CALL(primitive_desc_iterator_create, create_iterator),
    OPCACHE_CALL(primitive_desc_iterator_next, next_implementation),
    OPCACHE_CALL(primitive_desc_iterator_fetch, fetch_implementation),
    OPCACHE_CALL(primitive_desc_iterator_destroy, destroy_iterator),
    OPCACHE_CALL(reorder_primitive_desc_create, create_reorder),
    OPCACHE_CALL(sum_primitive_desc_create, create_sum),
    OPCACHE_CALL(concat_primitive_desc_create, create_concat),
    OPCACHE_CALL(primitive_desc_clone, clone_descriptor),
    OPCACHE_CALL(primitive_desc_destroy, destroy_descriptor),
    OPCACHE_CALL(primitive_create, create_primitive),
    OPCACHE_CALL(primitive_destroy, destroy_primitive),
    OPCACHE_CALL(primitive_attr_set_rnn_data_qparams, set_rnn_data),
    OPCACHE_CALL(primitive_attr_set_rnn_weights_qparams, set_rnn_weights),
    OPCACHE_CALL(engine_destroy, destroy_engine),
    {nullptr, nullptr},
};

}  // namespace

const Call *calls() { return shadowing() ? kCalls : kCalls + 1; }

}  // namespace api1
}  // namespace opcache
