// What differs when these sources are part of libmxnet.so itself (docs/source-patch.md), where
// MXNet's build defines MXNET_USE_MKLDNN. Nothing else in the library may ask.
#ifndef OPCACHE_IN_TREE_H_
#define OPCACHE_IN_TREE_H_

#ifdef MXNET_USE_MKLDNN
#include <mkldnn.h>
#ifdef mkldnn_primitive  // from 1.1 on the functions have other names
#error "expected MKL-DNN 0.14 to 0.19 or 1.0 (MXNet 1.3 to 1.6)"
#endif
#endif

namespace opcache {

#ifdef MXNET_USE_MKLDNN
const bool kInTree = true;
#if defined(MKLDNN_VERSION_MAJOR) && MKLDNN_VERSION_MAJOR > 0
// The headers of 1.x, which api0/ cannot be compiled with; the source patch leaves it out.
#define OPCACHE_NO_API0
#endif
// One initial-exec variable makes the loader place all of a library's thread-locals in room that
// it keeps for a few small ones; libmxnet.so has kilobytes, and would not load.
#define OPCACHE_TLS_MODEL
#else
const bool kInTree = false;
// Initial-exec: one instruction to reach, and it needs no allocation that could fail.
#define OPCACHE_TLS_MODEL __attribute__((tls_model("initial-exec")))
#endif

}  // namespace opcache

#endif  // OPCACHE_IN_TREE_H_
