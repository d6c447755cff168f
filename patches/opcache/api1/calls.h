// What each intercepted call does, in terms of the cache; calls.cc says which. Called only in a
// process that has a known MKL-DNN 1.0, so that real() is there. Status codes of the real library
// come back unchanged, and whatever is not understood goes to the real library as if we were not
// there. A primitive of 1.0 gets its data when it is executed, so executions, memory objects and
// queries need nothing of ours: handles of cached objects are the real library's.
#ifndef OPCACHE_API1_CALLS_H_
#define OPCACHE_API1_CALLS_H_

#include "api1/types.h"
#include "cache/handles.h"
#include "library.h"

namespace opcache {
namespace api1 {

// The table; executions are in it only in shadow mode.
const Call *calls();

// Primitive descriptors (descriptors.cc).
Status create_operation(mkldnn_primitive_desc **result, const void *op_desc, const Attr *attr,
                        Engine *engine, const mkldnn_primitive_desc *hint);
Status create_reorder(mkldnn_primitive_desc **result, const MemoryDesc *source,
                      Engine *source_engine, const MemoryDesc *destination,
                      Engine *destination_engine, const Attr *attr);
Status create_sum(mkldnn_primitive_desc **result, const MemoryDesc *output, int n,
                  const float *scales, const MemoryDesc *inputs, const Attr *attr, Engine *engine);
Status create_concat(mkldnn_primitive_desc **result, const MemoryDesc *output, int n, int dimension,
                     const MemoryDesc *inputs, const Attr *attr, Engine *engine);
Status clone_descriptor(mkldnn_primitive_desc **result, const mkldnn_primitive_desc *existing);
Status destroy_descriptor(mkldnn_primitive_desc *descriptor);

// Iterators over the implementations of an operation (iterators.cc); MXNet creates all descriptors
// of operations with them.
Status create_iterator(RealIterator **result, const void *op_desc, const Attr *attr, Engine *engine,
                       const mkldnn_primitive_desc *hint);
Status next_implementation(RealIterator *iterator);
mkldnn_primitive_desc *fetch_implementation(const RealIterator *iterator);
Status destroy_iterator(RealIterator *iterator);

// Primitives (primitives.cc).
Status create_primitive(mkldnn_primitive **result, const mkldnn_primitive_desc *descriptor);
Status destroy_primitive(mkldnn_primitive *primitive);
Status destroy_engine(Engine *engine);
extern const Destroyers kDestroyers;

// In shadow mode (shadow.cc).
Status execute(const mkldnn_primitive *primitive, Stream *stream, int n, const Argument *arguments);

// The parameters of RNNs, of which no function says what an attribute holds (fields.h).
Status set_rnn_data(Attr *attr, float scale, float shift);
Status set_rnn_weights(Attr *attr, int64_t count, int mask, const float *scales);

}  // namespace api1
}  // namespace opcache

#endif  // OPCACHE_API1_CALLS_H_
