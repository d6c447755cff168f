// The two worlds that a fuzz compares: MKL-DNN through the library, and a second copy of the fake
// that nothing stands before. Both are reached through the same table of functions.
#ifndef OPCACHE_TESTS_FUZZ_WORLDS_H_
#define OPCACHE_TESTS_FUZZ_WORLDS_H_

#include <mkldnn.h>

#include "fake_mkldnn.h"

namespace fuzz {

// X(name without the mkldnn_ prefix)
#define FUZZ_FUNCTIONS(X)                     \
  X(concat_primitive_desc_create)             \
  X(engine_create)                            \
  X(engine_destroy)                           \
  X(memory_get_data_handle)                   \
  X(memory_primitive_desc_create)             \
  X(memory_primitive_desc_equal)              \
  X(memory_primitive_desc_get_size)           \
  X(memory_set_data_handle)                   \
  X(post_ops_append_eltwise)                  \
  X(post_ops_append_sum)                      \
  X(post_ops_create)                          \
  X(post_ops_destroy)                         \
  X(post_ops_len)                             \
  X(primitive_attr_clone)                     \
  X(primitive_attr_create)                    \
  X(primitive_attr_destroy)                   \
  X(primitive_attr_get_int_output_round_mode) \
  X(primitive_attr_get_output_scales)         \
  X(primitive_attr_get_post_ops)              \
  X(primitive_attr_set_int_output_round_mode) \
  X(primitive_attr_set_output_scales)         \
  X(primitive_attr_set_post_ops)              \
  X(primitive_create)                         \
  X(primitive_desc_clone)                     \
  X(primitive_desc_create)                    \
  X(primitive_desc_create_v2)                 \
  X(primitive_desc_destroy)                   \
  X(primitive_desc_get_attr)                  \
  X(primitive_desc_iterator_create)           \
  X(primitive_desc_iterator_create_v2)        \
  X(primitive_desc_iterator_destroy)          \
  X(primitive_desc_iterator_fetch)            \
  X(primitive_desc_iterator_next)             \
  X(primitive_desc_query)                     \
  X(primitive_desc_query_memory_d)            \
  X(primitive_desc_query_pd)                  \
  X(primitive_desc_query_s32)                 \
  X(primitive_destroy)                        \
  X(primitive_get_input_at)                   \
  X(primitive_get_output)                     \
  X(primitive_get_primitive_desc)             \
  X(reorder_primitive_desc_create)            \
  X(reorder_primitive_desc_create_v2)         \
  X(stream_create)                            \
  X(stream_destroy)                           \
  X(stream_rerun)                             \
  X(stream_submit)                            \
  X(stream_wait)                              \
  X(sum_primitive_desc_create)                \
  X(view_primitive_desc_create)

// What the fake tells of itself; X(name without the fake_ prefix)
#define FUZZ_FAKE_FUNCTIONS(X) \
  X(call_back)                 \
  X(content)                   \
  X(created)                   \
  X(execution)                 \
  X(executions)                \
  X(foreign_destroys)          \
  X(forget_executions)         \
  X(live)                      \
  X(misuse)                    \
  X(misuses)                   \
  X(reuse_addresses)           \
  X(set_max_threads)

struct World {
#define FUZZ_DECLARE(name) decltype(&mkldnn_##name) name;
  FUZZ_FUNCTIONS(FUZZ_DECLARE)
#undef FUZZ_DECLARE
  struct {
#define FUZZ_DECLARE(name) decltype(&fake_##name) name;
    FUZZ_FAKE_FUNCTIONS(FUZZ_DECLARE)
#undef FUZZ_DECLARE
  } fake;
};

const int kWorlds = 2;
// 0: through the library; 1: the reference. Ends the program when there is no reference.
const World &world(int which);

}  // namespace fuzz

#endif  // OPCACHE_TESTS_FUZZ_WORLDS_H_
