// The fields of every description that MKL-DNN 0.14 to 0.19 creates a primitive descriptor from,
// each named once, in order, to a visitor (cache/key.h). Fields are read up to ndims, never as
// struct bytes: mkldnn_memory_desc_init fills an uninitialised local, so bytes beyond ndims and in
// the unused part of the layout union are garbage.
#ifndef OPCACHE_API0_FIELDS_H_
#define OPCACHE_API0_FIELDS_H_

#include <mkldnn_types.h>
#include <stdint.h>

#include "api0/abi.h"
#include "api0/real.h"
#include "shared/context.h"

namespace opcache {

typedef uint64_t (*IdOf)(const_mkldnn_primitive_desc_t);

// Each tells the visitor when something is unknown; what it visits after that is of no use.
// `hint_id` identifies a hint that is itself canonical, which is identity by content; a hint from
// elsewhere is visited field by field. `implementation` counts iterator steps from 0. `ids` finds
// the id of a canonical memory descriptor, 0 for any other; it may be nullptr.
template <class V>
void visit_operation(V &v, const Real &real, const Context &context, const void *op_desc,
                     const_mkldnn_primitive_attr_t attr, const_mkldnn_primitive_desc_t hint,
                     uint64_t hint_id, int implementation);
template <class V>
void visit_memory_object(V &v, const Real &real, mkldnn_engine_t engine,
                         const mkldnn_memory_desc_t &desc);
template <class V>
void visit_reorder(V &v, const Real &real, const Context &context,
                   const_mkldnn_primitive_desc_t input, const_mkldnn_primitive_desc_t output,
                   const_mkldnn_primitive_attr_t attr, IdOf ids);
template <class V>
void visit_sum(V &v, const Real &real, const Context &context, const mkldnn_memory_desc_t *output,
               int n, const float *scales, const const_mkldnn_primitive_desc_t *inputs, IdOf ids);
template <class V>
void visit_concat(V &v, const Real &real, const Context &context,
                  const mkldnn_memory_desc_t *output, int n, int concat_dimension,
                  const const_mkldnn_primitive_desc_t *inputs, IdOf ids);

}  // namespace opcache

#endif  // OPCACHE_API0_FIELDS_H_
