// The fields of every description that MKL-DNN 1.0 creates a primitive descriptor from, each named
// once, in order, to a visitor (cache/key.h). Fields are read up to their counts, never as struct
// bytes: callers' descriptors may hold anything beyond.
#ifndef OPCACHE_API1_FIELDS_H_
#define OPCACHE_API1_FIELDS_H_

#include "api1/real.h"
#include "shared/context.h"

namespace opcache {
namespace api1 {

// Whether this process has given an attribute the parameters of RNNs. No function tells them, and
// they also concern other primitives: from then on no attribute is known.
bool attributes_may_hide();
void hide_attributes();

// Each tells the visitor when something is unknown; what it visits after that is of no use.
// `hint_id` identifies a hint that is itself canonical, which is identity by content; a hint from
// elsewhere is visited field by field. `implementation` counts iterator steps from 0.
template <class V>
void visit_operation(V &v, const Real &real, const Context &context, const void *op_desc,
                     const Attr *attr, const mkldnn_primitive_desc *hint, uint64_t hint_id,
                     int implementation);
template <class V>
void visit_reorder(V &v, const Real &real, const Context &context, const MemoryDesc &source,
                   const MemoryDesc &destination, Engine *destination_engine, const Attr *attr);
template <class V>
void visit_sum(V &v, const Real &real, const Context &context, const MemoryDesc *output, int n,
               const float *scales, const MemoryDesc *inputs, const Attr *attr);
template <class V>
void visit_concat(V &v, const Real &real, const Context &context, const MemoryDesc *output, int n,
                  int dimension, const MemoryDesc *inputs, const Attr *attr);

}  // namespace api1
}  // namespace opcache

#endif  // OPCACHE_API1_FIELDS_H_
