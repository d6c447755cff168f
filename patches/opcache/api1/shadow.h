// Shadow mode of MKL-DNN 1.0: shared/shadow.h says what it is.
#ifndef OPCACHE_API1_SHADOW_H_
#define OPCACHE_API1_SHADOW_H_

#include "api1/real.h"
#include "shared/shadow.h"

namespace opcache {
namespace api1 {

// Says in `what` how two descriptors differ; false: they do not.
bool differ(const Real &r, const mkldnn_primitive_desc *cached, const mkldnn_primitive_desc *fresh,
            const Descriptor *d, char *what, size_t size);

// A primitive that gets the arguments of `p`.
Status create_shadow(const Real &r, Primitive *p, const mkldnn_primitive_desc *descriptor,
                     mkldnn_primitive **result);

}  // namespace api1
}  // namespace opcache

#endif  // OPCACHE_API1_SHADOW_H_
