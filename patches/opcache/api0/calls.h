// What each intercepted call does, in terms of the cache; calls.cc says which. Called only in a
// process that has a known MKL-DNN 0.14 to 0.19, so that real() is there. Status codes of the real
// library come back unchanged, and whatever is not understood goes to the real library as if we
// were not there.
#ifndef OPCACHE_API0_CALLS_H_
#define OPCACHE_API0_CALLS_H_

#include <mkldnn.h>

#include "library.h"

namespace opcache {

extern const Call kCalls[];

// Primitive descriptors (descriptors.cc). The functions of the first version (_v1) have no
// attributes.
mkldnn_status_t create_operation(mkldnn_primitive_desc_t *result, const_mkldnn_op_desc_t op_desc,
                                 const_mkldnn_primitive_attr_t attr, mkldnn_engine_t engine,
                                 const_mkldnn_primitive_desc_t hint);
mkldnn_status_t create_operation_v1(mkldnn_primitive_desc_t *result, const_mkldnn_op_desc_t op_desc,
                                    mkldnn_engine_t engine, const_mkldnn_primitive_desc_t hint);
mkldnn_status_t create_reorder(mkldnn_primitive_desc_t *result, const_mkldnn_primitive_desc_t input,
                               const_mkldnn_primitive_desc_t output,
                               const_mkldnn_primitive_attr_t attr);
mkldnn_status_t create_reorder_v1(mkldnn_primitive_desc_t *result,
                                  const_mkldnn_primitive_desc_t input,
                                  const_mkldnn_primitive_desc_t output);
mkldnn_status_t create_sum(mkldnn_primitive_desc_t *result, const mkldnn_memory_desc_t *output,
                           int n, const float *scales, const_mkldnn_primitive_desc_t *inputs);
mkldnn_status_t create_concat(mkldnn_primitive_desc_t *result, const mkldnn_memory_desc_t *output,
                              int n, int dimension, const_mkldnn_primitive_desc_t *inputs);
mkldnn_status_t create_memory_descriptor(mkldnn_primitive_desc_t *result,
                                         const mkldnn_memory_desc_t *desc, mkldnn_engine_t engine);
const_mkldnn_primitive_desc_t query_descriptor(const_mkldnn_primitive_desc_t descriptor,
                                               mkldnn_query_t what, int index);
mkldnn_status_t clone_descriptor(mkldnn_primitive_desc_t *result,
                                 const_mkldnn_primitive_desc_t existing);
mkldnn_status_t destroy_descriptor(mkldnn_primitive_desc_t descriptor);

// Iterators over the implementations of an operation (iterators.cc).
mkldnn_status_t create_iterator(mkldnn_primitive_desc_iterator_t *result,
                                const_mkldnn_op_desc_t op_desc, const_mkldnn_primitive_attr_t attr,
                                mkldnn_engine_t engine, const_mkldnn_primitive_desc_t hint);
mkldnn_status_t create_iterator_v1(mkldnn_primitive_desc_iterator_t *result,
                                   const_mkldnn_op_desc_t op_desc, mkldnn_engine_t engine,
                                   const_mkldnn_primitive_desc_t hint);
mkldnn_status_t next_implementation(mkldnn_primitive_desc_iterator_t iterator);
mkldnn_primitive_desc_t fetch_implementation(const_mkldnn_primitive_desc_iterator_t iterator);
mkldnn_status_t destroy_iterator(mkldnn_primitive_desc_iterator_t iterator);

// Primitives (primitives.cc).
mkldnn_status_t create_primitive(mkldnn_primitive_t *result,
                                 const_mkldnn_primitive_desc_t descriptor,
                                 const mkldnn_primitive_at_t *inputs,
                                 const_mkldnn_primitive_t *outputs);
mkldnn_status_t destroy_primitive(mkldnn_primitive_t primitive);
mkldnn_status_t get_descriptor(const_mkldnn_primitive_t primitive,
                               const_mkldnn_primitive_desc_t *descriptor);
mkldnn_status_t get_input(const_mkldnn_primitive_t primitive, size_t index,
                          mkldnn_primitive_at_t *input);
mkldnn_status_t get_output(const_mkldnn_primitive_t primitive, size_t index,
                           const_mkldnn_primitive_t *output);

// Streams (streams.cc).
mkldnn_status_t create_stream(mkldnn_stream_t *result, mkldnn_stream_kind_t kind);
mkldnn_status_t submit(mkldnn_stream_t stream, size_t n, mkldnn_primitive_t *primitives,
                       mkldnn_primitive_t *error_primitive);
mkldnn_status_t wait(mkldnn_stream_t stream, int block, mkldnn_primitive_t *error_primitive);
mkldnn_status_t rerun(mkldnn_stream_t stream, mkldnn_primitive_t *error_primitive);
mkldnn_status_t destroy_stream(mkldnn_stream_t stream);

mkldnn_status_t destroy_engine(mkldnn_engine_t engine);

}  // namespace opcache

#endif  // OPCACHE_API0_CALLS_H_
